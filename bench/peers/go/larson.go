package main

import (
	"strconv"
	"sync"
)

// As bench/workloads/larson.h.

type block struct {
	data []uint64
	id   uint64
}

const (
	larsonSlots = 20_000
	larsonRound = 100_000
)

func larsonTurn(slots []*block, r *random, id *uint64) (sum uint64) {
	for i := 0; i < larsonRound; i++ {
		slot := &slots[r.below(larsonSlots)]
		words := 2 + r.below(63)
		if old := *slot; old != nil {
			sum += old.id ^ old.data[0]
		}
		fresh := &block{}
		data := make([]uint64, words)
		data[0] = words
		fresh.data = data
		fresh.id = *id
		*id++
		*slot = fresh
	}
	return sum
}

// Lets `threads` goroutines wait for each other, again and again.
type barrier struct {
	mutex            sync.Mutex
	all              sync.Cond
	threads, waiting int
	round            int
}

func newBarrier(threads int) *barrier {
	b := &barrier{threads: threads}
	b.all.L = &b.mutex
	return b
}

func (b *barrier) wait() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.waiting++; b.waiting == b.threads {
		b.waiting = 0
		b.round++
		b.all.Broadcast()
		return
	}
	for round := b.round; round == b.round; {
		b.all.Wait()
	}
}

func larson(threads, rounds int) {
	arrays := make([]*block, threads*larsonSlots)
	sums := make([]uint64, threads)
	all := newBarrier(threads)
	m := runThreads(threads, func(t int) {
		r := random{uint64(t) + 1}
		id := uint64(t) << 40
		var sum uint64
		for round := 0; round < rounds; round++ {
			first := (t + round) % threads * larsonSlots
			sum = mix(sum, larsonTurn(arrays[first:first+larsonSlots], &r, &id))
			all.wait()
		}
		sums[t] = sum
	})
	var checksum uint64
	for _, sum := range sums {
		checksum = mix(checksum, sum)
	}
	s := stats(0)
	newLine("larson", strconv.Itoa(threads)).result(threads*rounds*larsonRound, m, checksum).
		add("collections", s.collections).pauses(s).print()
}
