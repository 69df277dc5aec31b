package main

import "fmt"

// As bench/workloads/drop.h. A slice is three words where C++ has two, so a node has 40 bytes, in a
// slot of 48; the data is the same, and nearly all of the memory.

type dropNode struct {
	next *dropNode
	data []uint64
	id   uint64
}

const dropChains = 65536

func makeTable(bytes uint64) (table []*dropNode, objects int, checksum uint64) {
	table = make([]*dropNode, dropChains)
	objects = 1
	r := random{1}
	for used := uint64(0); used < bytes; {
		node := &dropNode{}
		words := 8 + r.below(505)
		node.id = uint64(objects)
		node.data = make([]uint64, words)
		for w := range node.data {
			node.data[w] = uint64(w)
		}
		node.data[words-1] = node.id
		head := &table[r.below(dropChains)]
		node.next = *head
		*head = node
		used += 32 + words*8
		objects += 2
	}
	for _, head := range table {
		for node := head; node != nil; node = node.next {
			checksum = mix(checksum, node.data[len(node.data)-1])
		}
	}
	return table, objects, checksum
}

var dropTable []*dropNode

func drop(mib int) {
	dropTable, _, _ = makeTable(1 << 20)
	dropTable = nil
	release()
	atStart := statusKB("VmRSS")

	var objects int
	var checksum uint64
	dropTable, objects, checksum = makeTable(uint64(mib) << 20)
	s := stats(0)
	live := statusKB("VmRSS")
	m := measure(func() {
		dropTable = nil
		release()
	})
	after := statusKB("VmRSS")
	newLine("drop", fmt.Sprintf("%dMiB", mib)).result(objects, m, checksum).
		add("rss_start_kb", atStart).add("rss_live_kb", live).add("rss_after_kb", after).
		add("rss_left_kb", after-atStart).add("metadata_kb", s.metadataKB).print()
}
