package main

import (
	"encoding/binary"
	"fmt"
	"log"
	"math"
	"math/rand"
	"reflect"
	"strings"
	"unsafe"
)

// table hides a map's types from the scripts; key i is the i-th of the keys that a script can name.
type table interface {
	make(hint int)
	set(i int)
	del(i int)
	clear()
	drop()
	look() (*mapType, *header)
	value() reflect.Value // the map
	key(i int) unsafe.Pointer
	text(key unsafe.Pointer) string
	nan(i int) bool // key i is one: every set of it adds a pair
	number(key unsafe.Pointer) int
}

type goMap[K comparable, V any] struct {
	m     map[K]V
	keys  []K
	elem  func(i int) V
	texts func(K) string
}

func (t *goMap[K, V]) make(hint int) {
	if hint == 0 {
		t.m = make(map[K]V)
	} else {
		t.m = make(map[K]V, hint)
	}
}
func (t *goMap[K, V]) set(i int) { t.m[t.keys[i]] = t.elem(i) }
func (t *goMap[K, V]) del(i int) { delete(t.m, t.keys[i]) }
func (t *goMap[K, V]) drop()     { t.m = nil }

// The generic form of a range-delete loop is not always compiled to a map clear, so each type has
// its own in clearMap.
func (t *goMap[K, V]) clear() { clearMap(t.m) }

func (t *goMap[K, V]) look() (*mapType, *header) {
	var boxed interface{} = t.m
	words := (*[2]unsafe.Pointer)(unsafe.Pointer(&boxed))
	return (*mapType)(words[0]), (*header)(words[1])
}
func (t *goMap[K, V]) value() reflect.Value           { return reflect.ValueOf(t.m) }
func (t *goMap[K, V]) key(i int) unsafe.Pointer       { return unsafe.Pointer(&t.keys[i]) }
func (t *goMap[K, V]) text(key unsafe.Pointer) string { return t.texts(*(*K)(key)) }
func (t *goMap[K, V]) nan(i int) bool                 { return t.keys[i] != t.keys[i] }

// number finds a NaN by its bits, which tell each from the others.
func (t *goMap[K, V]) number(key unsafe.Pointer) int {
	return int(uint32(math.Float64bits(*(*float64)(key))))
}

type point struct{ X, Y int32 }

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
	case map[string]string:
		for k := range m {
			delete(m, k)
		}
	case map[string][136]byte:
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
	case map[*[32]byte]struct{}:
		for k := range m {
			delete(m, k)
		}
	case map[[136]byte]int64:
		for k := range m {
			delete(m, k)
		}
	case map[[2]int64]int32:
		for k := range m {
			delete(m, k)
		}
	case map[point]uint16:
		for k := range m {
			delete(m, k)
		}
	case map[uint8]uint16:
		for k := range m {
			delete(m, k)
		}
	case map[uint16]uint8:
		for k := range m {
			delete(m, k)
		}
	default: // of keys that may be NaN the loop is no map clear: they stay
		log.Fatalf("no clear for %T", m)
	}
}

const typeNames = "int64, seq, int32, uint16, uint8, float, nan, string, strstr, strbig, struct, array, big, ptr, bigkey or ptrkey"

func plain[K any](k K) string { return fmt.Sprint(k) }
func text(k string) string    { return k }
func bits(k float64) string   { return fmt.Sprintf("%016x", math.Float64bits(k)) }

// newTable makes a table with n keys. No value is zero, so that a cleared one can be told.
func newTable(name string, n int, r *rand.Rand) table {
	random := make([]int64, n)
	texts := make([]string, n)
	for i := range random {
		random[i] = r.Int63()
		texts[i] = fmt.Sprintf("user:%d:%x", i, r.Int31n(1<<20))
	}
	number := func(i int) int64 { return int64(i) + 1 }
	one := func(int) uint8 { return 1 }
	large := func(int) (v [136]byte) { v[0] = 1; return }
	nothing := func(int) struct{} { return struct{}{} }
	switch name {
	case "int64":
		return &goMap[int64, int64]{keys: random, elem: number, texts: plain[int64]}
	case "seq":
		for i := range random {
			random[i] = int64(i)
		}
		return &goMap[int64, int64]{keys: random, elem: number, texts: plain[int64]}
	case "int32":
		return &goMap[int32, struct{}]{keys: made(n, func(i int) int32 { return int32(random[i] >> 32) }), elem: nothing, texts: plain[int32]}
	case "uint16":
		return &goMap[uint16, uint8]{keys: made(n, func(i int) uint16 { return uint16(i*40503 + 1) }), elem: one, texts: plain[uint16]}
	case "uint8":
		return &goMap[uint8, uint16]{keys: made(n, func(i int) uint8 { return uint8(i * 167) }), elem: func(int) uint16 { return 1 }, texts: plain[uint8]}
	case "float", "nan": // both have +0 and -0, which are one key; of "nan" every fourth is a NaN
		return &goMap[float64, int64]{keys: made(n, func(i int) float64 {
			switch {
			case i < 2:
				return math.Copysign(0, float64(-i))
			case name == "nan" && i%4 == 3:
				return math.Float64frombits(0x7ff8<<48 | uint64(i))
			}
			return float64(i) * 1.1
		}), elem: number, texts: bits}
	case "string":
		return &goMap[string, int64]{keys: texts, elem: number, texts: text}
	case "strstr":
		return &goMap[string, string]{keys: texts, elem: func(i int) string { return texts[i] }, texts: text}
	case "strbig":
		return &goMap[string, [136]byte]{keys: texts, elem: large, texts: text}
	case "struct":
		return &goMap[point, uint16]{keys: made(n, func(i int) point { return point{int32(random[i] >> 32), int32(i)} }),
			elem: func(int) uint16 { return 1 }, texts: func(k point) string { return fmt.Sprintf("%d/%d", k.X, k.Y) }}
	case "array":
		return &goMap[[2]int64, int32]{keys: made(n, func(i int) [2]int64 { return [2]int64{random[i], -int64(i)} }),
			elem: func(int) int32 { return 1 }, texts: func(k [2]int64) string { return fmt.Sprintf("%d/%d", k[0], k[1]) }}
	case "big":
		return &goMap[int64, [136]byte]{keys: random, elem: large, texts: plain[int64]}
	case "ptr":
		return &goMap[int64, *[32]byte]{keys: random, elem: func(int) *[32]byte { return new([32]byte) }, texts: plain[int64]}
	case "bigkey": // its first eight bytes are a number, the others zero
		return &goMap[[136]byte, int64]{keys: made(n, func(i int) (k [136]byte) {
			binary.LittleEndian.PutUint64(k[:], uint64(random[i]))
			return
		}), elem: number, texts: func(k [136]byte) string { return fmt.Sprint(int64(binary.LittleEndian.Uint64(k[:]))) }}
	case "ptrkey": // the object begins with its number
		return &goMap[*[32]byte, struct{}]{keys: made(n, func(i int) *[32]byte {
			k := new([32]byte)
			binary.LittleEndian.PutUint64(k[:], uint64(i))
			return k
		}), elem: nothing, texts: func(k *[32]byte) string { return fmt.Sprint(binary.LittleEndian.Uint64(k[:])) }}
	}
	log.Fatalf("unknown type %q: %s", name, typeNames)
	return nil
}

func made[K any](n int, f func(i int) K) []K {
	keys := make([]K, n)
	for i := range keys {
		keys[i] = f(i)
	}
	return keys
}

// spelled is the map's type as it is written in source.
func spelled(t table) string {
	return strings.NewReplacer("uint8", "byte", "struct {}", "struct{}", "main.point", "struct{X, Y int32}").Replace(t.value().Type().String())
}
