package main

import (
	"fmt"
	"reflect"
	"unsafe"
)

// What src/runtime/map.go calls hmap, mapextra and hiter, and internal/abi Type and MapType (before:
// runtime's _type and maptype). The same layouts in all versions from 1.18 to 1.23.
type header struct {
	count      int
	flags      uint8
	b          uint8
	noverflow  uint16
	hash0      uint32
	buckets    unsafe.Pointer
	oldbuckets unsafe.Pointer
	nevacuate  uintptr
	extra      *extra
}
type extra struct {
	overflow, oldoverflow *[]unsafe.Pointer
	nextOverflow          unsafe.Pointer
}
type iterator struct {
	key, elem, t, h, buckets, bptr unsafe.Pointer
	overflow, oldoverflow          *[]unsafe.Pointer
	startBucket                    uintptr
	offset                         uint8
	wrapped                        bool
	b, i                           uint8
	bucket, checkBucket            uintptr
}
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

const (
	flagSameSize = 8 // header.flags
	flagIndirect = 1 // mapType.flags: of the key
	cells        = 8
	minTopHash   = 5
	fixedSeed    = 0x2545f491
)

// A reflect.MapIter is the map and the runtime's own iterator.
func hiterOf(it *reflect.MapIter) *iterator {
	return (*iterator)(unsafe.Add(unsafe.Pointer(it), unsafe.Sizeof(reflect.Value{})))
}

func (h *header) growing() bool  { return h != nil && h.oldbuckets != nil }
func (h *header) sameSize() bool { return h.flags&flagSameSize != 0 }
func (h *header) oldCount() int {
	if h.sameSize() {
		return 1 << h.b
	}
	return 1 << h.b >> 1
}

// forEachBucket goes along the chains of an array: chain i, then its position in it.
func forEachBucket(mt *mapType, array unsafe.Pointer, count int, f func(i, position int, b unsafe.Pointer)) {
	size := uintptr(mt.bucketSize)
	for i := 0; i < count; i++ {
		position := 0
		for b := unsafe.Add(array, uintptr(i)*size); b != nil; b = *(*unsafe.Pointer)(unsafe.Add(b, size-8)) {
			f(i, position, b)
			position++
		}
	}
}

func keySlot(mt *mapType, b unsafe.Pointer, cell int) unsafe.Pointer {
	return unsafe.Add(b, cells+uintptr(cell)*uintptr(mt.keySize))
}

// keyIn returns the key that stands in a cell, or nil if the cell holds none that can be read: all
// zero, or a reference that was cleared.
func keyIn(mt *mapType, b unsafe.Pointer, cell int) unsafe.Pointer {
	slot := keySlot(mt, b, cell)
	switch {
	case mt.flags&flagIndirect != 0:
		return *(*unsafe.Pointer)(slot)
	case mt.key.ptrdata != 0:
		if *(*unsafe.Pointer)(slot) == nil {
			return nil
		}
	case allZero(slot, uintptr(mt.keySize)):
		return nil
	}
	return slot
}

func allZero(p unsafe.Pointer, size uintptr) bool {
	for i := uintptr(0); i < size; i++ {
		if *(*byte)(unsafe.Add(p, i)) != 0 {
			return false
		}
	}
	return true
}

// dataBits says of each unit between a bucket's tophash bytes and its overflow word whether a bit is
// set in it: 8 units a byte in hexadecimal, the first in the lowest bit. A unit is the largest power
// of two up to 8 that divides the sizes of key and value.
func dataBits(mt *mapType, b unsafe.Pointer) string {
	unit := uintptr(8)
	for uintptr(mt.keySize)%unit != 0 || uintptr(mt.elemSize)%unit != 0 {
		unit /= 2
	}
	out := make([]byte, (uintptr(mt.bucketSize)-16)/unit/8)
	for i := range out {
		for bit := 0; bit < 8; bit++ {
			if !allZero(unsafe.Add(b, cells+uintptr(i*8+bit)*unit), unit) {
				out[i] |= 1 << bit
			}
		}
	}
	return fmt.Sprintf("%x", out)
}

// spares counts the overflow buckets behind the array that are on no chain yet: the last has an
// overflow word that is not nil.
func spares(mt *mapType, h *header) (n int) {
	if h.extra == nil || h.extra.nextOverflow == nil {
		return 0
	}
	for b := h.extra.nextOverflow; ; b = unsafe.Add(b, uintptr(mt.bucketSize)) {
		n++
		if *(*unsafe.Pointer)(unsafe.Add(b, uintptr(mt.bucketSize)-8)) != nil {
			return n
		}
	}
}
