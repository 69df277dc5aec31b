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

// One goroutine's: turn() makes objects first, first + 1, ... and returns what it has read from those
// that fell out; clear() lets all fall out.
type objectRing interface {
	turn(first, count uint64) uint64
	clear() uint64
}

type ringScan16 struct{ slots [ringLive]*scan16 }

func (r *ringScan16) turn(first, count uint64) (checksum uint64) {
	slots := r.slots[:]
	for i := first; i < first+count; i++ {
		if old := slots[i%ringLive]; old != nil {
			checksum++
		}
		slots[i%ringLive] = &scan16{}
	}
	return checksum
}

func (r *ringScan16) clear() (checksum uint64) {
	for i, old := range r.slots {
		if old != nil {
			checksum++
		}
		r.slots[i] = nil
	}
	return checksum
}

type ringScan64 struct{ slots [ringLive]*scan64 }

func (r *ringScan64) turn(first, count uint64) (checksum uint64) {
	slots := r.slots[:]
	for i := first; i < first+count; i++ {
		if old := slots[i%ringLive]; old != nil {
			checksum += old.data[0]
		}
		object := &scan64{}
		object.data[0] = i
		slots[i%ringLive] = object
	}
	return checksum
}

func (r *ringScan64) clear() (checksum uint64) {
	for i, old := range r.slots {
		if old != nil {
			checksum += old.data[0]
		}
		r.slots[i] = nil
	}
	return checksum
}

type ringScan256 struct{ slots [ringLive]*scan256 }

func (r *ringScan256) turn(first, count uint64) (checksum uint64) {
	slots := r.slots[:]
	for i := first; i < first+count; i++ {
		if old := slots[i%ringLive]; old != nil {
			checksum += old.data[0]
		}
		object := &scan256{}
		object.data[0] = i
		slots[i%ringLive] = object
	}
	return checksum
}

func (r *ringScan256) clear() (checksum uint64) {
	for i, old := range r.slots {
		if old != nil {
			checksum += old.data[0]
		}
		r.slots[i] = nil
	}
	return checksum
}

type ringNoscan64 struct{ slots [ringLive]*noscan64 }

func (r *ringNoscan64) turn(first, count uint64) (checksum uint64) {
	slots := r.slots[:]
	for i := first; i < first+count; i++ {
		if old := slots[i%ringLive]; old != nil {
			checksum += old.data[0]
		}
		object := &noscan64{}
		object.data[0] = i
		slots[i%ringLive] = object
	}
	return checksum
}

func (r *ringNoscan64) clear() (checksum uint64) {
	for i, old := range r.slots {
		if old != nil {
			checksum += old.data[0]
		}
		r.slots[i] = nil
	}
	return checksum
}

// Of the objects of this kind; the program ends if there is no such kind.
func newRing(kind string) objectRing {
	switch kind {
	case "scan16":
		return new(ringScan16)
	case "scan64":
		return new(ringScan64)
	case "scan256":
		return new(ringScan256)
	case "noscan64":
		return new(ringNoscan64)
	}
	fail()
	return nil
}

func ring(kind string, threads, ops int) {
	newRing(kind)
	sums := make([]uint64, threads)
	m := runThreads(threads, func(t int) {
		r := newRing(kind)
		sums[t] = r.turn(0, uint64(ops))
		sums[t] += r.clear()
	})
	var checksum uint64
	for _, sum := range sums {
		checksum = mix(checksum, sum)
	}
	s := stats(0)
	newLine("ring", kind+"/"+strconv.Itoa(threads)).result(ops*threads, m, checksum).
		add("collections", s.collections).pauses(s).print()
}
