package main

import (
	"bufio"
	"log"
	"math/rand"
	"os"
	"reflect"
	"strconv"
	"strings"
)

type operation struct {
	name string
	n    int // make: hint; set, del: number of the key; range, next: pairs (0: all)
}

// player does operations on a map. One loop over the map can be open.
type player struct {
	t    table
	loop *reflect.MapIter // made once: the heap is being measured
	open bool             // a loop is
	over bool             // it has come to its end
	seen func()           // called at each pair of the loop
	s    []operation      // all so far, if it is being written
}

func newPlayer(t table) *player { return &player{t: t, loop: new(reflect.MapIter), seen: func() {}} }

func (p *player) header() *header {
	_, h := p.t.look()
	return h
}

// fixSeed comes before each operation. Go takes a new seed whenever a map becomes empty; the recorder
// then gives it the same one each time, so that a script always lays out alike (but for NaN keys).
func (p *player) fixSeed() {
	if h := p.header(); h != nil && h.count == 0 {
		h.hash0 = fixedSeed
	}
}

func (p *player) do(op operation) {
	switch op.name {
	case "make":
		p.t.make(op.n)
	case "set":
		p.t.set(op.n)
	case "del":
		p.t.del(op.n)
	case "clear":
		p.t.clear()
	case "drop":
		p.t.drop()
	case "range":
		p.loop.Reset(p.t.value())
		p.open, p.over = true, false
		p.walk(op.n)
	case "next":
		p.walk(op.n)
	case "leave":
		p.open = false
		p.loop.Reset(reflect.Value{})
	}
}

func (p *player) walk(n int) {
	for i := 0; (n == 0 || i < n) && !p.over; i++ {
		if p.over = !p.loop.Next(); !p.over {
			p.seen()
		}
	}
}

// add does an operation and writes it down.
func (p *player) add(name string, n int) {
	op := operation{name, n}
	p.fixSeed()
	p.do(op)
	p.s = append(p.s, op)
}
func (p *player) set(i int) { p.add("set", i) }
func (p *player) snap()     { p.add("snap", 0) }

// del leaves NaNs out: nothing finds them, and which chain the vain search helps to evacuate could not
// be told from outside.
func (p *player) del(i int) {
	if !p.t.nan(i) {
		p.add("del", i)
	}
}
func (p *player) sets(from, to int) {
	for i := from; i < to; i++ {
		p.set(i)
	}
}

// loopOver ranges over the map and leaves the loop after n pairs (0: at its end).
func (p *player) loopOver(n int) {
	p.add("range", n)
	p.add("leave", 0)
}

// until sets keys from number `from` until the map is growing by doubling (or not); it returns the
// next number.
func (p *player) until(growing bool, from int) int {
	for p.header().growing() != growing {
		p.set(from)
		from++
	}
	return from
}

// crowd fills one chain after the other until it has one more overflow bucket, and empties it again,
// with keys from number `from`, until the map is growing to the same size or `enough` overflow buckets
// are there; it returns the next number.
func (p *player) crowd(from, keys, enough int) int {
	for chain := uintptr(0); ; chain++ {
		mt, h := p.t.look()
		mask := uintptr(1)<<h.b - 1
		var added []int
		for before := h.noverflow; h.noverflow == before && !h.growing(); from++ {
			if from == keys {
				log.Fatalf("%d keys are not enough for this script and seed: another -seed or more -n", keys)
			}
			if mt.hasher(p.t.key(from), uintptr(h.hash0))&mask == chain&mask {
				p.set(from)
				added = append(added, from)
			}
		}
		if h.growing() {
			return from
		}
		for _, i := range added {
			p.del(i)
		}
		if int(h.noverflow) >= enough {
			return from
		}
	}
}

// write sets and deletes keys, from number `from`, until done(); it returns the next number.
func (p *player) write(from int, done func() bool) int {
	for ; !done(); from++ {
		p.set(from)
		p.del(from - 1)
	}
	return from
}

func (p *player) grown() bool { return !p.header().growing() }
func (p *player) halfDone() bool {
	h := p.header()
	return !h.growing() || int(h.nevacuate) >= h.oldCount()/2
}

// keysFor says how many keys a script with this -n needs.
func keysFor(kind string, n int) int {
	switch kind {
	case "same", "rangesame":
		return 100 * n
	case "stall", "ranged", "ranging", "rangeclear":
		return 4 * n
	}
	return n
}

const scriptNames = "grow, hint, delete, churn, clear, random, stall, same, ranged, ranging, rangesame or rangeclear"

// writeScript plays one of the built-in lives of a map and returns what it did. The later ones look
// at the map: they snap in the middle of growths.
func writeScript(kind string, n int, t table, r *rand.Rand) []operation {
	p := newPlayer(t)
	every := func(i, step int) {
		if step == 0 || i%step == step-1 {
			p.snap()
		}
	}
	switch kind {
	case "hint":
		p.add("make", n)
		p.snap()
	case "same", "rangesame":
		p.add("make", n)
	default:
		p.add("make", 0)
	}
	keys := keysFor(kind, n)
	switch kind {
	case "grow", "hint": // from empty, a look around every growth
		for i := 0; i < n; i++ {
			p.set(i)
			every(i, n/8)
		}
	case "delete": // fill, delete in random order, fill again
		p.sets(0, n)
		p.snap()
		for j, i := range r.Perm(n) {
			p.del(i)
			every(j, n/4)
		}
		p.sets(0, n/3)
	case "churn": // a window of live keys slides on
		window := n / 8
		for i := 0; i < n; i++ {
			p.set(i)
			if i >= window {
				p.del(i - window)
			}
			every(i, n/6)
		}
	case "clear":
		p.sets(0, n)
		p.snap()
		p.add("clear", 0)
		p.snap()
		p.sets(n/2, n)
		p.snap()
		p.add("drop", 0)
	case "random":
		live := make([]bool, n)
		for step := 0; step < 3*n; step++ {
			i := r.Intn(n)
			if live[i] {
				p.del(i)
			} else {
				p.set(i)
			}
			live[i] = !live[i]
			every(step, n/2)
		}
	case "stall": // looks into every growth; at the end writes stop in the middle of one
		i := 0
		for i < n {
			i = p.until(true, i)
			p.snap()
			for !p.halfDone() {
				p.set(i)
				i++
			}
			p.snap()
			if i < n {
				i = p.until(false, i)
			}
		}
		for _, gone := range []int{0, i / 2, i - 1} {
			p.del(gone)
		}
	case "same": // emptied cells and overflow buckets force a growth of the same size, twice
		p.sets(0, n/2)
		i := n
		for round := 0; round < 2; round++ {
			i = p.crowd(i, keys, keys)
			p.snap()
			i = p.write(i, p.halfDone)
			p.snap()
			i = p.write(i, p.grown)
			p.snap()
		}
	case "ranged": // loops before a growth: its old copies are kept, also of what is deleted then; the next one's not
		p.sets(0, n)
		i := p.until(false, n)
		p.loopOver(0)
		p.snap()
		i = p.until(true, i)
		p.snap()
		for gone := i - 2; !p.halfDone(); gone-- {
			p.del(gone)
		}
		p.snap()
		for j := 0; j < 3; j++ {
			p.del(j)
		}
		p.snap()
		i = p.until(false, i)
		p.snap()
		i = p.until(true, i)
		for !p.halfDone() {
			p.set(i)
			i++
		}
	case "ranging": // a loop begins in the middle of a growth, and goes on while it ends and the next begins
		p.sets(0, n)
		i := p.until(false, n)
		i = p.until(true, i)
		for !p.halfDone() {
			p.set(i)
			i++
		}
		p.snap()
		p.add("range", 3)
		p.snap()
		for step := 0; p.header().growing(); step++ {
			p.set(i)
			i++
			p.del(step * 3)
			p.add("next", 2)
		}
		p.snap()
		i = p.until(true, i)
		for step := 0; p.header().growing() && step < n/8; step++ {
			p.set(i)
			i++
			p.del(step*3 + 1)
			p.add("next", 1)
		}
		p.snap()
		p.add("next", 0)
		p.add("leave", 0)
	case "rangesame": // a loop is open over a growth of the same size; the next one finds its flags only
		p.sets(0, n/2)
		i := p.crowd(n, keys, 1<<p.header().b-1)
		p.add("range", 4)
		p.snap()
		i = p.crowd(i, keys, keys)
		p.snap()
		p.add("next", 4)
		i = p.write(i, p.halfDone)
		p.del(1)
		p.del(n/2 - 1)
		p.add("next", 4)
		p.snap()
		i = p.write(i, p.grown)
		p.add("next", 4)
		p.sets(i, i+4)
		p.add("next", 0)
		p.snap()
		p.add("leave", 0)
		i = p.crowd(i+4, keys, keys)
		p.write(i, p.halfDone)
	case "rangeclear": // a loop is open over a clear, and over the growth that follows
		p.sets(0, n)
		p.add("range", 5)
		p.snap()
		p.add("clear", 0)
		p.snap()
		p.add("next", 2)
		i := p.until(true, n/2)
		p.snap()
		p.add("next", 0)
		p.add("leave", 0)
		p.until(false, i)
	default:
		log.Fatalf("unknown script %q: %s", kind, scriptNames)
	}
	p.snap()
	p.t.drop()
	return p.s
}

// readScript reads operations from a file: one a line, `name` or `name N`.
func readScript(path string) (s []operation) {
	file, err := os.Open(path)
	check(err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 {
			continue
		}
		n := 0
		if len(fields) == 2 {
			n, err = strconv.Atoi(fields[1])
		}
		known := strings.Contains(" make set del clear drop range next leave snap ", " "+fields[0]+" ")
		if err != nil || !known || len(fields) > 2 || n < 0 {
			log.Fatalf("%s:%d: no operation: %q", path, number, lines.Text())
		}
		s = append(s, operation{fields[0], n})
	}
	check(lines.Err())
	return s
}
