package main

import (
	"runtime"
	"strconv"
)

// As bench/workloads/graph.h.

type graphNode struct {
	next, a, b *graphNode
	id         uint64
}

func makeGraph(nodes int) *graphNode {
	index := make([]*graphNode, nodes)
	order := make([]uint32, nodes)
	for i := range index {
		index[i] = &graphNode{id: uint64(i)}
		order[i] = uint32(i)
	}
	r := random{1}
	r.shuffle(nodes, func(i, j int) { order[i], order[j] = order[j], order[i] })
	n := uint64(nodes)
	for i := range order {
		node := index[order[i]]
		node.next = index[order[(i+1)%nodes]]
		node.a = index[r.below(n)]
		node.b = index[r.below(n)]
	}
	return index[order[0]]
}

func graph(nodes, collections int) {
	root := makeGraph(nodes)
	runtime.GC()
	before := stats(0).collections
	m := measure(func() {
		for i := 0; i < collections; i++ {
			runtime.GC()
		}
	})
	var checksum uint64
	node := root
	for i := 0; i < nodes; i++ {
		checksum = mix(checksum, node.id+node.a.id+node.b.id)
		node = node.next
	}
	runtime.KeepAlive(root)
	s := stats(before)
	newLine("graph", strconv.Itoa(nodes)).result(nodes*collections, m, checksum).
		add("pause_max_ns", int64(s.pauses.max)).add("metadata_kb", s.metadataKB).print()
}
