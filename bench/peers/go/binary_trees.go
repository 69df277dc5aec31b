package main

import "strconv"

// As bench/workloads/binary_trees.h.

type tree struct{ left, right *tree }

func makeTree(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{makeTree(depth - 1), makeTree(depth - 1)}
}

func (t *tree) count() uint64 {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

func binaryTrees(depth int) {
	var ops, checksum uint64
	m := measure(func() {
		ops = makeTree(depth + 1).count()
		checksum = ops
		kept := makeTree(depth)
		for d := 4; d <= depth; d += 4 {
			trees := 1 << uint(depth-d+4)
			var nodes uint64
			for i := 0; i < trees; i++ {
				nodes += makeTree(d).count()
			}
			ops += nodes
			checksum = mix(checksum, nodes)
		}
		nodes := kept.count()
		ops += nodes
		checksum = mix(checksum, nodes)
	})
	s := stats(0)
	newLine("binary_trees", strconv.Itoa(depth)).result(int(ops), m, checksum).
		add("collections", s.collections).pauses(s).print()
}
