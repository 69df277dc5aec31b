package main

import "strconv"

// As bench/workloads/ring.h. Written out for each kind: a generic version would call through
// dictionaries and not be the Go that people write.

type scan16 struct{ a, b *scan16 }
type scan64 struct {
	a    *scan64
	data [7]uint64
}
type scan256 struct {
	a    *scan256
	data [31]uint64
}
type noscan64 struct{ data [8]uint64 }

const ringLive = 4096

func turnScan16(ops uint64) (checksum uint64) {
	slots := make([]*scan16, ringLive)
	for i := uint64(0); i < ops; i++ {
		if old := slots[i%ringLive]; old != nil {
			checksum++
		}
		slots[i%ringLive] = &scan16{}
	}
	for _, old := range slots {
		if old != nil {
			checksum++
		}
	}
	return checksum
}

func turnScan64(ops uint64) (checksum uint64) {
	slots := make([]*scan64, ringLive)
	for i := uint64(0); i < ops; i++ {
		if old := slots[i%ringLive]; old != nil {
			checksum += old.data[0]
		}
		object := &scan64{}
		object.data[0] = i
		slots[i%ringLive] = object
	}
	for _, old := range slots {
		if old != nil {
			checksum += old.data[0]
		}
	}
	return checksum
}

func turnScan256(ops uint64) (checksum uint64) {
	slots := make([]*scan256, ringLive)
	for i := uint64(0); i < ops; i++ {
		if old := slots[i%ringLive]; old != nil {
			checksum += old.data[0]
		}
		object := &scan256{}
		object.data[0] = i
		slots[i%ringLive] = object
	}
	for _, old := range slots {
		if old != nil {
			checksum += old.data[0]
		}
	}
	return checksum
}

func turnNoscan64(ops uint64) (checksum uint64) {
	slots := make([]*noscan64, ringLive)
	for i := uint64(0); i < ops; i++ {
		if old := slots[i%ringLive]; old != nil {
			checksum += old.data[0]
		}
		object := &noscan64{}
		object.data[0] = i
		slots[i%ringLive] = object
	}
	for _, old := range slots {
		if old != nil {
			checksum += old.data[0]
		}
	}
	return checksum
}

func ring(kind string, threads, ops int) {
	turn, known := map[string]func(uint64) uint64{"scan16": turnScan16, "scan64": turnScan64,
		"scan256": turnScan256, "noscan64": turnNoscan64}[kind]
	if !known {
		fail()
	}
	sums := make([]uint64, threads)
	m := runThreads(threads, func(t int) { sums[t] = turn(uint64(ops)) })
	var checksum uint64
	for _, sum := range sums {
		checksum = mix(checksum, sum)
	}
	s := stats(0)
	newLine("ring", kind+"/"+strconv.Itoa(threads)).result(ops*threads, m, checksum).
		add("collections", s.collections).pauses(s).print()
}
