#pragma once

// Layouts: where the references are in an object.
//
// The heap is traced precisely, so every object that may hold references has a layout: the size of
// one element and a bitmap with one bit a word, set where the word is a reference. An object of
// several elements (an array, a bucket array) has the layout of its element; it is scanned element
// after element to the end of its slot. Slots are zeroed before use, so the words between the last
// element and the end of the slot are null.
//
// A layout is interned: equal (kind, info, size, bitmap) give the same id, ids are small, and id 0
// means "no references" (the object is never scanned, and lives in a noscan span). The allocator
// stores ids as opaque tags.
//
// How a C++ type gets its layout, at compile time:
//     arithmetic types, enums                  no references
//     Ref<T>, Map<K, V>, ...                   one reference   (they declare GortReference)
//     GORT_FIELDS(T, a, b, ...) inside T       the references of the named members
//     GORT_POINTER_FREE() inside T             no references, promised by the author
//     std::array<T, N>, T[N], std::pair<A, B>  those of the elements
// Anything else is a compile error that says what to write.
//
// What a class declares is about that class and not about those derived from it, which may have
// more references and have them elsewhere: each of these names the class that it stands in.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include <gort/alloc/span.h>
#include <gort/base/atomic.h>
#include <gort/base/bits.h>
#include <gort/base/config.h>
#include <gort/base/units.h>

namespace gort::gc {

using LayoutId = alloc::Tag;
inline constexpr LayoutId kNoReferences = 0;

enum class LayoutKind : std::uint8_t {
  plain,       ///< an object of the program
  map_header,  ///< header of a map; `info` is its map type
  bucket,      ///< bucket memory of a map; `info` is its map type
};

struct Layout {
  std::size_t size = 0;                   ///< bytes from one element to the next; a multiple of 8
  std::size_t words = 0;                  ///< size / 8
  std::size_t references = 0;             ///< bits set
  const std::uint64_t* bitmap = nullptr;  ///< bit w: word w of an element is a reference
  std::uint64_t mask = 0;                 ///< the first word of the bitmap
  LayoutKind kind = LayoutKind::plain;
  const void* info = nullptr;  ///< what the kind says; the collector does not look at it
  const char* name = "";       ///< type name, for reports
};

/// The id of this layout; the same id for the same (size, bitmap, kind, info). `bitmap` is copied,
/// `name` must live for ever (the first name wins). Returns kNoReferences if no bit is set and the
/// kind is plain. Throws std::bad_alloc. Any thread.
LayoutId intern_layout(std::size_t size, const std::uint64_t* bitmap, const char* name,
                       LayoutKind kind = LayoutKind::plain, const void* info = nullptr);

/// The layout behind an id that intern_layout returned; not for kNoReferences. Any thread, no lock.
const Layout& layout(LayoutId id);

/// In the child of a fork: a thread that is gone may have been interning. Its entry is not
/// published, so the next one takes its place.
void free_layouts_in_child();

/// Number of layouts interned so far (ids are 1..count).
std::size_t layout_count();

// --- from C++ types ------------------------------------------------------------------------------

/// Bits of one object of `Bytes` bytes.
template <std::size_t Bytes>
struct ReferenceBits {
  static constexpr std::size_t kWords = Bytes / kWordSize;
  std::array<std::uint64_t, bits::words_for(kWords == 0 ? 1 : kWords)> bits{};
  bool misaligned = false;

  constexpr void add(std::size_t byte_offset) {
    if (byte_offset % kWordSize != 0) {
      misaligned = true;
      return;
    }
    bits::set_range(bits.data(), byte_offset / kWordSize, 1);
  }
  constexpr bool any() const {
    for (const std::uint64_t word : bits) {
      if (word != 0) return true;
    }
    return false;
  }
};

namespace detail {

/// Whether what Owner declares is true of T. Also of a class derived from it that adds nothing: in
/// equally many bytes there is no room for a reference but in padding, and at the end of Owner that
/// is shorter than its alignment.
template <class Owner, class T>
inline constexpr bool kSpeaksFor = std::is_same_v<Owner, std::remove_cv_t<T>> ||
                                   (std::is_base_of_v<Owner, T> && sizeof(Owner) == sizeof(T) &&
                                    alignof(T) <= kWordSize);

/// One member that GORT_FIELDS names, and all of them, and the class that it stands in.
template <class T, std::size_t Offset>
struct Field {};
template <class T>
struct Owner {};
template <class T, class... Fields>
struct FieldList {
  using Class = T;
  constexpr FieldList() = default;
  constexpr explicit FieldList(Owner<T>, Fields...) {}
};
/// The class that declares the member function.
template <class T>
T declaring_class(void (T::*)() const);

template <class T>
concept IsReference = requires {
  typename T::GortReference;
  requires kSpeaksFor<typename T::GortReference, T>;
};
template <class T>
concept HasFields = requires {
  requires kSpeaksFor<typename decltype(T::gort_fields())::Class, T>;
};
// Of itself or of a base class.
template <class T>
concept NamesFields = requires {
  T::gort_fields();
};
template <class T>
concept NamesReference = requires {
  typename T::GortReference;
};
/// One that inherits references cannot promise that it has none.
template <class T>
concept IsPointerFree = requires {
  requires kSpeaksFor<decltype(declaring_class(&T::gort_pointer_free)), T>;
  requires !NamesFields<T> && !NamesReference<T>;
};

template <class T>
struct IsStdArray : std::false_type {};
template <class T, std::size_t N>
struct IsStdArray<std::array<T, N>> : std::true_type {};
template <class T>
struct IsPair : std::false_type {};
template <class A, class B>
struct IsPair<std::pair<A, B>> : std::true_type {};

template <class T>
inline constexpr bool kUndescribed = false;

template <class T, class Out>
constexpr void add_references(Out& out, std::size_t offset);

template <class Out, class Class, class... T, std::size_t... Offset>
constexpr void add_fields(Out& out, std::size_t offset, FieldList<Class, Field<T, Offset>...>) {
  (add_references<T>(out, offset + Offset), ...);
}

/// Adds to `out` the references of a T that stands `offset` bytes into the object.
template <class T, class Out>
constexpr void add_references(Out& out, std::size_t offset) {
  if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_null_pointer_v<T>) {
    // nothing
  } else if constexpr (std::is_array_v<T>) {
    using Element = std::remove_extent_t<T>;
    for (std::size_t i = 0; i < std::extent_v<T>; ++i) {
      add_references<Element>(out, offset + i * sizeof(Element));
    }
  } else if constexpr (IsStdArray<T>::value) {
    using Element = typename T::value_type;
    for (std::size_t i = 0; i < std::tuple_size_v<T>; ++i) {
      add_references<Element>(out, offset + i * sizeof(Element));
    }
  } else if constexpr (IsPair<T>::value) {
    using First = typename T::first_type;
    using Second = typename T::second_type;
    add_references<First>(out, offset);
    add_references<Second>(out, offset + bits::align_up(sizeof(First), alignof(Second)));
  } else if constexpr (IsReference<T>) {
    out.add(offset);
  } else if constexpr (HasFields<T>) {
    add_fields(out, offset, decltype(T::gort_fields())());
  } else if constexpr (IsPointerFree<T>) {
    // nothing: its author says so
  } else {
    static_assert(kUndescribed<T>,
                  "gort cannot see where the references of this type are: write GORT_FIELDS(Type, "
                  "members...) inside it, naming the members that hold gort::Ref, gort::Map or "
                  "gort::String, or GORT_POINTER_FREE() if it holds none; what a base class says "
                  "does not count: name its members, too");
  }
}

}  // namespace detail

/// The reference bits of T, computed at compile time.
template <class T>
inline constexpr auto kReferenceBits = [] {
  ReferenceBits<sizeof(T)> result;
  detail::add_references<T>(result, 0);
  return result;
}();

/// True if a T holds references, so that its memory must be scanned.
template <class T>
inline constexpr bool kHasReferences = kReferenceBits<T>.any();

namespace detail {

// gcc: "... [with T = X]", clang: "... [T = X]".
template <class T>
constexpr const char* spelled_with_type() {
  return __PRETTY_FUNCTION__;
}

template <class T>
inline constexpr auto kTypeName = [] {
  constexpr std::string_view kAll = spelled_with_type<T>();
  constexpr std::size_t kFirst = kAll.find("T = ") + 4;
  constexpr std::size_t kLength = kAll.size() - kFirst - 1;
  std::array<char, kLength + 1> name{};
  for (std::size_t i = 0; i < kLength; ++i) name[i] = kAll[kFirst + i];
  return name;
}();

}  // namespace detail

namespace detail {

/// The id that `known` holds, or has got here. No static local would do: the child of a fork might
/// find its guard taken. To intern a layout twice gives the same id.
inline LayoutId known_or_interned(Atomic<LayoutId>& known, std::size_t size,
                                  const std::uint64_t* words, const char* name) {
  LayoutId id = known.load_acquire();
  if (GORT_UNLIKELY(id == kNoReferences)) {
    id = intern_layout(size, words, name);
    known.store_release(id);
  }
  return id;
}

template <class T>
inline constinit Atomic<LayoutId> known_layout{kNoReferences};

}  // namespace detail

/// The name of T as the compiler spells it, for reports.
template <class T>
constexpr const char* type_name() {
  return detail::kTypeName<T>.data();
}

/// The layout id of T; interned at the first call.
template <class T>
LayoutId layout_id() {
  static_assert(!kReferenceBits<T>.misaligned,
                "a reference must be aligned to 8 bytes: this type is packed");
  if constexpr (!kHasReferences<T>) {
    return kNoReferences;
  } else {
    return detail::known_or_interned(detail::known_layout<T>, sizeof(T),
                                     kReferenceBits<T>.bits.data(), type_name<T>());
  }
}

}  // namespace gort::gc

// GORT_FIELDS(T, a, b): up to 64 members, by recursive expansion (__VA_OPT__).
#define GORT_DETAIL_PARENS ()
#define GORT_DETAIL_EXPAND(...) \
  GORT_DETAIL_EXPAND3(GORT_DETAIL_EXPAND3(GORT_DETAIL_EXPAND3(GORT_DETAIL_EXPAND3(__VA_ARGS__))))
#define GORT_DETAIL_EXPAND3(...) \
  GORT_DETAIL_EXPAND2(GORT_DETAIL_EXPAND2(GORT_DETAIL_EXPAND2(GORT_DETAIL_EXPAND2(__VA_ARGS__))))
#define GORT_DETAIL_EXPAND2(...) \
  GORT_DETAIL_EXPAND1(GORT_DETAIL_EXPAND1(GORT_DETAIL_EXPAND1(GORT_DETAIL_EXPAND1(__VA_ARGS__))))
#define GORT_DETAIL_EXPAND1(...) __VA_ARGS__
#define GORT_DETAIL_EACH_AGAIN() GORT_DETAIL_EACH
#define GORT_DETAIL_EACH(T, member, ...)                                          \
  ::gort::gc::detail::Field<decltype(T::member), __builtin_offsetof(T, member)>() \
      __VA_OPT__(, GORT_DETAIL_EACH_AGAIN GORT_DETAIL_PARENS(T, __VA_ARGS__))

/// In the public part of a struct or class T: names every member that holds references (directly or
/// deeper), of any access, inherited ones too: what a base class names is not looked at. Members
/// that hold none need not be named; naming one does no harm.
#define GORT_FIELDS(T, ...)                                                          \
  _Pragma("GCC diagnostic push")                                                     \
      _Pragma("GCC diagnostic ignored \"-Winvalid-offsetof\"") static constexpr auto \
      gort_fields() {                                                                \
    return ::gort::gc::detail::FieldList(::gort::gc::detail::Owner<T>() __VA_OPT__(  \
        , GORT_DETAIL_EXPAND(GORT_DETAIL_EACH(T, __VA_ARGS__))));                    \
  }                                                                                  \
  _Pragma("GCC diagnostic pop") static_assert(true, "GORT_FIELDS is followed by a semicolon")

/// In the public part of a struct or class: it holds no references, now and for ever. (The type of
/// a member function's address tells which class it is.)
#define GORT_POINTER_FREE()                   \
  constexpr void gort_pointer_free() const {} \
  static_assert(true, "GORT_POINTER_FREE is followed by a semicolon")
