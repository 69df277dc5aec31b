package main

import (
	"math"
	"runtime"
	"strconv"
)

// As bench/workloads/gcbench.h.

type gcNode struct {
	left, right *gcNode
	i, j        int32
}

const gcArray = 500_000

func gcTreeNodes(depth int) int { return 2<<uint(depth) - 1 }

func growDown(depth int, node *gcNode) {
	if depth == 0 {
		return
	}
	node.left = &gcNode{}
	node.right = &gcNode{}
	growDown(depth-1, node.left)
	growDown(depth-1, node.right)
}

func growUp(depth int) *gcNode {
	if depth == 0 {
		return &gcNode{}
	}
	left := growUp(depth - 1)
	right := growUp(depth - 1)
	return &gcNode{left: left, right: right}
}

// By the leftmost path.
func (n *gcNode) depth() (depth uint64) {
	for n = n.left; n != nil; n = n.left {
		depth++
	}
	return depth
}

func (n *gcNode) count() uint64 {
	if n.left == nil {
		return 1
	}
	return 1 + n.left.count() + n.right.count()
}

func growTrees(depth, trees int) (sum uint64) {
	for i := 0; i < trees; i++ {
		tree := &gcNode{}
		growDown(depth, tree)
		sum += tree.depth()
	}
	for i := 0; i < trees; i++ {
		sum += growUp(depth).depth()
	}
	return sum
}

func gcBench(stretch int) {
	keptDepth := stretch - 2
	ops := gcTreeNodes(stretch) + gcTreeNodes(keptDepth)
	var checksum uint64
	m := measure(func() {
		checksum = growUp(stretch).depth()
		kept := &gcNode{}
		growDown(keptDepth, kept)
		array := make([]float64, gcArray)
		for i := 1; i < gcArray/2; i++ {
			array[i] = 1.0 / float64(i)
		}
		for depth := 4; depth <= keptDepth; depth += 2 {
			trees := 2 * gcTreeNodes(stretch) / gcTreeNodes(depth)
			checksum = mix(checksum, growTrees(depth, trees))
			ops += 2 * trees * gcTreeNodes(depth)
		}
		checksum = mix(checksum, kept.count())
		checksum = mix(checksum, math.Float64bits(array[1000]))
		runtime.KeepAlive(kept)
	})
	s := stats(0)
	newLine("gcbench", strconv.Itoa(stretch)).result(ops, m, checksum).
		add("collections", s.collections).pauses(s).print()
}
