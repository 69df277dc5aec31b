// The heap workloads on SGCL (github.com/pebal/sgcl), a collector for C++ as a library of headers:
// it marks beside the program, never stops it, and finds references because every one of them is a
// tracked_ptr, on the stack too. Built if GORT_SGCL_DIR names a checkout of it.
//
// Its collector thread decides by itself when to run, and nothing slows the program down when it
// does not keep up: read its times with the peak resident size. It says nothing about its cycles.

#include <sgcl/sgcl.h>

#include <type_traits>

#include <gort/bench/workloads/main.h>

namespace gort::bench {
namespace {

/// A tracked_ptr that gives the raw pointer without being asked for it by name, as a Ref does.
template <class T>
class SgclRef : public sgcl::tracked_ptr<T> {
 public:
  using sgcl::tracked_ptr<T>::tracked_ptr;
  using sgcl::tracked_ptr<T>::operator=;
  SgclRef() = default;
  SgclRef& operator=(T* p) {
    sgcl::tracked_ptr<T>::operator=(sgcl::tracked_ptr<T>(p));
    return *this;
  }
  operator T*() const { return this->get(); }  // NOLINT(google-explicit-constructor)
};

struct SgclHeap : PlainHeap {
  static constexpr const char* kName = "sgcl";
  static constexpr bool kCollected = true;
  template <class T>
  using Ref = SgclRef<T>;
  template <class T>
  using Root = SgclRef<T>;
  template <class T>
  using Local = SgclRef<T>;

  template <class T>
  class IdMap {
   public:
    void put(std::int64_t id, const Ref<T>& p) { map_[id] = p; }
    T* get(std::int64_t id) { return map_.find(id)->second.get(); }
    T* take(std::int64_t id) {
      map_.erase(id);
      return nullptr;
    }

   private:
    sgcl::unordered_map<std::int64_t, sgcl::tracked_ptr<T>> map_;
  };

  // It zeroes what may hold references; the rest is zeroed here.
  template <class T>
  static Local<T> make() {
    Local<T> object(sgcl::make_tracked<T>());
    if constexpr (std::is_trivially_default_constructible_v<T>) std::memset(object, 0, sizeof(T));
    return object;
  }
  template <class T>
  static Local<T> make_array(std::size_t n) {
    sgcl::tracked_ptr<T[]> array = sgcl::make_tracked<T[]>(n);
    if constexpr (std::is_arithmetic_v<T>) std::memset(array.get(), 0, n * sizeof(T));
    return Local<T>(array.get());
  }
  static void free(const void*) {}
  static void collect() { sgcl::collector::force_collect(true); }
  static void release() { collect(); }
};

}  // namespace
}  // namespace gort::bench

int main(int argc, char** argv) {
  return gort::bench::workload_main<gort::bench::SgclHeap>(argc, argv);
}
