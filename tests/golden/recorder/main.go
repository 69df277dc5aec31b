// Recorder runs a script of operations on a real Go map and writes what the map did: a golden trace
// (../README.md), to hold gort's map against. It reads the runtime's map header and buckets through
// unsafe, so it must be built by a Go with bucket maps: 1.18 to 1.23.
//
//	go run . -type string -script churn -n 800 -seed 7 -o ../string_churn_800.jsonl
//	go run . -type int64 -ops my.ops -o my.jsonl      one operation a line: make N, set I, del I, clear, drop, snap
//
// The script runs four times. The first three runs do nothing but the operations and measure the heap
// at each snapshot, undisturbed by the recorder's own memory; the least value counts, as the Go
// process itself takes some memory now and then. The last records hashes and buckets. So that all
// lay the map out alike, the recorder gives every map the same seed whenever it is empty; Go
// takes a new seed then too. A map of more than 2^15 buckets counts its overflow buckets at random:
// scripts must stay below.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"unsafe"
)

// What src/runtime/map.go calls hmap, up to Go 1.23.
type header struct {
	count      int
	flags      uint8
	b          uint8
	noverflow  uint16
	hash0      uint32
	buckets    unsafe.Pointer
	oldbuckets unsafe.Pointer
	nevacuate  uintptr
	extra      unsafe.Pointer
}

const (
	sameSizeGrow = 8
	cells        = 8
	minTopHash   = 5
	fixedSeed    = 0x2545f491
)

// What internal/abi calls Type and MapType (before: runtime's _type and maptype); same layout in all
// versions from 1.18 to 1.23.
type anyType struct {
	size, ptrdata                  uintptr
	hash                           uint32
	tflag, align, fieldAlign, kind uint8
	equal                          func(unsafe.Pointer, unsafe.Pointer) bool
	gcdata                         unsafe.Pointer
	str, ptrToThis                 int32
}
type mapType struct {
	anyType
	key, elem, bucket *anyType
	hasher            func(unsafe.Pointer, uintptr) uintptr
	keySize, elemSize uint8
	bucketSize        uint16
	flags             uint32
}

// table hides a map's types from the scripts; key i is the i-th of the keys the script can name.
type table interface {
	make(hint int)
	set(i int)
	del(i int)
	clear()
	drop()
	look() (*mapType, *header)
	key(i int) unsafe.Pointer
	text(key unsafe.Pointer) string
}

type goMap[K comparable, V any] struct {
	m     map[K]V
	keys  []K
	value func(i int) V
}

func (t *goMap[K, V]) make(hint int) {
	if hint == 0 {
		t.m = make(map[K]V)
	} else {
		t.m = make(map[K]V, hint)
	}
}
func (t *goMap[K, V]) set(i int) { t.m[t.keys[i]] = t.value(i) }
func (t *goMap[K, V]) del(i int) { delete(t.m, t.keys[i]) }
func (t *goMap[K, V]) drop()     { t.m = nil }

// The generic form of a range-delete loop is not always compiled to a map clear, so each type has
// its own in clearers.
func (t *goMap[K, V]) clear() { clearMap(t.m) }

func (t *goMap[K, V]) look() (*mapType, *header) {
	var boxed interface{} = t.m
	words := (*[2]unsafe.Pointer)(unsafe.Pointer(&boxed))
	return (*mapType)(words[0]), (*header)(words[1])
}
func (t *goMap[K, V]) key(i int) unsafe.Pointer       { return unsafe.Pointer(&t.keys[i]) }
func (t *goMap[K, V]) text(key unsafe.Pointer) string { return fmt.Sprint(*(*K)(key)) }

func clearMap(m interface{}) {
	switch m := m.(type) {
	case map[int64]int64:
		for k := range m {
			delete(m, k)
		}
	case map[int32]struct{}:
		for k := range m {
			delete(m, k)
		}
	case map[string]int64:
		for k := range m {
			delete(m, k)
		}
	case map[int64][136]byte:
		for k := range m {
			delete(m, k)
		}
	case map[int64]*[32]byte:
		for k := range m {
			delete(m, k)
		}
	default:
		log.Fatalf("no clear for %T", m)
	}
}

func newTable(name string, keys int, r *rand.Rand) table {
	random := make([]int64, keys)
	small := make([]int32, keys)
	texts := make([]string, keys)
	for i := range random {
		random[i] = r.Int63()
		small[i] = r.Int31()
		texts[i] = fmt.Sprintf("user:%d:%x", i, r.Int31n(1<<20))
	}
	number := func(i int) int64 { return int64(i) }
	switch name {
	case "int64":
		return &goMap[int64, int64]{keys: random, value: number}
	case "seq":
		for i := range random {
			random[i] = int64(i)
		}
		return &goMap[int64, int64]{keys: random, value: number}
	case "int32":
		return &goMap[int32, struct{}]{keys: small, value: func(int) struct{} { return struct{}{} }}
	case "string":
		return &goMap[string, int64]{keys: texts, value: number}
	case "big":
		return &goMap[int64, [136]byte]{keys: random, value: func(int) (v [136]byte) { return }}
	case "ptr":
		return &goMap[int64, *[32]byte]{keys: random, value: func(int) *[32]byte { return new([32]byte) }}
	}
	log.Fatalf("unknown type %q: int64, seq, int32, string, big or ptr", name)
	return nil
}

type operation struct {
	name string
	n    int // make: hint; set, del: number of the key
}

type script []operation

func (s *script) add(name string, n int) { *s = append(*s, operation{name, n}) }

// readScript reads operations from a file.
func readScript(path string) (s script) {
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
		known := strings.Contains(" make set del clear drop snap ", " "+fields[0]+" ")
		if err != nil || !known || len(fields) > 2 || n < 0 {
			log.Fatalf("%s:%d: no operation: %q", path, number, lines.Text())
		}
		s.add(fields[0], n)
	}
	check(lines.Err())
	return s
}

// makeScript writes one of the built-in lives of a map with n keys.
func makeScript(kind string, n int, r *rand.Rand) (s script) {
	fill := func(from, to int) {
		for i := from; i < to; i++ {
			s.add("set", i)
		}
	}
	every := func(i, step int) {
		if step == 0 || i%step == step-1 {
			s.add("snap", 0)
		}
	}
	if kind == "hint" {
		s.add("make", n)
		s.add("snap", 0)
	} else {
		s.add("make", 0)
	}
	switch kind {
	case "grow", "hint": // from empty, a look around every growth
		for i := 0; i < n; i++ {
			s.add("set", i)
			every(i, n/8)
		}
	case "delete": // fill, delete in random order, fill again
		fill(0, n)
		s.add("snap", 0)
		for j, i := range r.Perm(n) {
			s.add("del", i)
			every(j, n/4)
		}
		fill(0, n/3)
	case "churn": // a window of live keys slides on
		window := n / 8
		for i := 0; i < n; i++ {
			s.add("set", i)
			if i >= window {
				s.add("del", i-window)
			}
			every(i, n/6)
		}
	case "clear":
		fill(0, n)
		s.add("snap", 0)
		s.add("clear", 0)
		s.add("snap", 0)
		fill(n/2, n)
		s.add("snap", 0)
		s.add("drop", 0)
	case "random":
		live := make([]bool, n)
		for step := 0; step < 3*n; step++ {
			i := r.Intn(n)
			if live[i] {
				s.add("del", i)
			} else {
				s.add("set", i)
			}
			live[i] = !live[i]
			every(step, n/2)
		}
	default:
		log.Fatalf("unknown script %q: grow, hint, delete, churn, clear or random", kind)
	}
	s.add("snap", 0)
	return s
}

type bucketLine struct {
	Top  string   `json:"top"`
	Keys []string `json:"keys"`
}
type line struct {
	Op         string         `json:"op"`
	Key        string         `json:"k,omitempty"`
	Hash       string         `json:"h,omitempty"`
	Type       string         `json:"type,omitempty"`
	Go         string         `json:"go,omitempty"`
	KeySize    int            `json:"keysize,omitempty"`
	ElemSize   int            `json:"elemsize,omitempty"`
	BucketSize int            `json:"bucketsize,omitempty"`
	Hint       *int           `json:"hint,omitempty"`
	Count      *int           `json:"count,omitempty"`
	Flags      *int           `json:"flags,omitempty"`
	B          *int           `json:"B,omitempty"`
	Noverflow  *int           `json:"noverflow,omitempty"`
	Nevacuate  *int           `json:"nevacuate,omitempty"`
	HeapBytes  *int64         `json:"heap_bytes,omitempty"`
	Buckets    [][]bucketLine `json:"buckets,omitempty"`
	OldBuckets [][]bucketLine `json:"oldbuckets,omitempty"`
}

func chains(t table, mt *mapType, array unsafe.Pointer, count int) (out [][]bucketLine) {
	size := uintptr(mt.bucketSize)
	for i := 0; i < count; i++ {
		var chain []bucketLine
		for b := unsafe.Add(array, uintptr(i)*size); b != nil; b = *(*unsafe.Pointer)(unsafe.Add(b, size-8)) {
			tops := *(*[cells]uint8)(b)
			one := bucketLine{Top: fmt.Sprintf("%x", tops[:])}
			for c, top := range tops {
				if top >= minTopHash {
					one.Keys = append(one.Keys, t.text(unsafe.Add(b, cells+uintptr(c)*uintptr(mt.keySize))))
				}
			}
			chain = append(chain, one)
		}
		out = append(out, chain)
	}
	return out
}

func snapshot(t table, heap int64) line {
	out := line{Op: "snap", HeapBytes: &heap}
	mt, h := t.look()
	if h == nil {
		return out
	}
	number := func(n int) *int { return &n }
	out.Count, out.Flags, out.B = number(h.count), number(int(h.flags)), number(int(h.b))
	out.Noverflow, out.Nevacuate = number(int(h.noverflow)), number(int(h.nevacuate))
	if h.buckets != nil {
		out.Buckets = chains(t, mt, h.buckets, 1<<h.b)
	}
	if h.oldbuckets != nil {
		count := 1 << h.b
		if h.flags&sameSizeGrow == 0 {
			count /= 2
		}
		out.OldBuckets = chains(t, mt, h.oldbuckets, count)
	}
	return out
}

func heapAlloc() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// run does the operations; before each it calls before(i), after each after(i).
func run(t table, s script, before, after func(i int)) {
	for i, op := range s {
		if _, h := t.look(); h != nil && h.count == 0 {
			h.hash0 = fixedSeed
		}
		before(i)
		switch op.name {
		case "make":
			t.make(op.n)
		case "set":
			t.set(op.n)
		case "del":
			t.del(op.n)
		case "clear":
			t.clear()
		case "drop":
			t.drop()
		}
		after(i)
	}
}

func record(t table, s script) []line {
	heaps := make([]int64, len(s))
	out := make([]line, 0, len(s)+1)
	t.make(0)
	mt, _ := t.look()
	t.drop()
	for pass := 0; pass < 3; pass++ {
		start := heapAlloc()
		run(t, s, func(int) {}, func(i int) {
			if s[i].name == "snap" {
				if bytes := heapAlloc() - start; pass == 0 || bytes < heaps[i] {
					heaps[i] = bytes
				}
			}
		})
		t.drop()
	}
	out = append(out, line{Op: "type", Type: strings.NewReplacer("uint8", "byte", "struct {}", "struct{}").Replace(fmt.Sprintf("%T", mapOf(t))),
		Go: runtime.Version(), KeySize: int(mt.keySize), ElemSize: int(mt.elemSize), BucketSize: int(mt.bucketSize)})
	run(t, s, func(i int) {
		op := s[i]
		one := line{Op: op.name}
		switch op.name {
		case "make":
			one.Hint = &s[i].n
		case "set", "del":
			mt, h := t.look()
			one.Key = t.text(t.key(op.n))
			one.Hash = strconv.FormatUint(uint64(mt.hasher(t.key(op.n), uintptr(h.hash0))), 16)
		}
		out = append(out, one)
	}, func(i int) {
		if s[i].name == "snap" {
			out[len(out)-1] = snapshot(t, heaps[i])
		}
	})
	return out
}

func mapOf(t table) interface{} {
	switch t := t.(type) {
	case *goMap[int64, int64]:
		return t.m
	case *goMap[int32, struct{}]:
		return t.m
	case *goMap[string, int64]:
		return t.m
	case *goMap[int64, [136]byte]:
		return t.m
	case *goMap[int64, *[32]byte]:
		return t.m
	}
	return nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	log.SetFlags(0)
	typeName := flag.String("type", "int64", "int64, seq, int32, string, big or ptr")
	kind := flag.String("script", "grow", "grow, hint, delete, churn, clear or random")
	ops := flag.String("ops", "", "file of operations, instead of a script")
	n := flag.Int("n", 100, "keys")
	seed := flag.Int64("seed", 1, "of keys and scripts")
	path := flag.String("o", "", "trace to write; default: standard output")
	flag.Parse()
	if v := strings.TrimPrefix(runtime.Version(), "go1."); v >= "24" && len(v) >= 2 && v[1] != '.' {
		log.Fatalf("%s has no bucket maps: use Go 1.18 to 1.23", runtime.Version())
	}
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(1)
	r := rand.New(rand.NewSource(*seed))
	var s script
	if *ops != "" {
		s = readScript(*ops)
		for _, op := range s {
			if op.name != "make" && op.n >= *n {
				*n = op.n + 1
			}
		}
	} else {
		s = makeScript(*kind, *n, r)
	}
	lines := record(newTable(*typeName, *n, r), s)
	file := os.Stdout
	if *path != "" {
		var err error
		file, err = os.Create(*path)
		check(err)
	}
	buffered := bufio.NewWriter(file)
	encoder := json.NewEncoder(buffered)
	for _, one := range lines {
		check(encoder.Encode(one))
	}
	check(buffered.Flush())
	check(file.Close())
}
