#include <gort/gc/cleanups.h>

#include <exception>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include <gort/alloc/arena.h>
#include <gort/alloc/describe.h>
#include <gort/base/fatal.h>
#include <gort/base/metadata.h>
#include <gort/gc/barrier.h>
#include <gort/gc/cleanup.h>
#include <gort/gc/collector.h>
#include <gort/gc/or_bad_alloc.h>
#include <gort/gc/scan.h>
#include <gort/gc/weak.h>
#include <gort/gc/world.h>

namespace gort::gc {

constinit Cleanups cleanups;

// --- records -------------------------------------------------------------------------------------

void Cleanups::add_block() {
  auto* block = metadata::try_create<Block>();
  if (block == nullptr) return;
  block->next = blocks_;
  blocks_ = block;
  for (std::size_t i = kRecords; i-- > 0;) {
    block->records[i].next = free_;
    free_ = &block->records[i];
  }
}

Cleanups::Block* Cleanups::first_block() {
  LockGuard guard(lock_);
  return blocks_;
}

void Cleanups::free_record(CleanupRecord& record) {
  record.state.store_release(CleanupRecord::free);
  record.callable = nullptr;
  record.id = 0;
  record.next = free_;
  free_ = &record;
}

void Cleanups::append(CleanupRecord& record) {
  record.next = nullptr;
  (last_due_ == nullptr ? first_due_ : last_due_->next) = &record;
  last_due_ = &record;
  due_.fetch_add_relaxed(1);
  record.state.store_release(CleanupRecord::due);
}

CleanupRecord* Cleanups::watch(void* target, void (*call)(void*), void (*drop)(void*),
                               void* callable, const char* name, std::uint64_t& id) {
  LockGuard guard(lock_);
  if (free_ == nullptr) add_block();
  if (free_ == nullptr) return nullptr;
  CleanupRecord& record = *free_;
  free_ = record.next;
  record.next = nullptr;
  record.run = call;
  record.drop = drop;
  record.callable = callable;
  record.name = name;
  record.id = id = ++last_id_;
  AtomicRef<void*>(record.target).store_relaxed(target);
  record.state.store_release(CleanupRecord::watching);
  ++watched_;
  return &record;
}

void* Cleanups::stop(CleanupRecord& record, std::uint64_t id) {
  LockGuard guard(lock_);
  if (record.id != id || record.callable == nullptr) return nullptr;
  void* callable = record.callable;
  const std::uint32_t state = record.state.load_relaxed();
  if (state == CleanupRecord::watching) {
    AtomicRef<void*>(record.target).store_relaxed(nullptr);  // nobody is kept by it: no barrier
    --watched_;
    free_record(record);
    return callable;
  }
  if (state != CleanupRecord::due) return nullptr;
  record.callable = nullptr;  // the runner finds nothing to call
  return callable;
}

std::size_t Cleanups::watched() {
  LockGuard guard(lock_);
  return watched_;
}

std::size_t Cleanups::due_count() { return due_.load_relaxed(); }

// --- the cycle's side ----------------------------------------------------------------------------

bool Cleanups::watches_white(CleanupRecord& record) {
  return record.state.load_acquire() == CleanupRecord::watching &&
         is_white(reinterpret_cast<std::uintptr_t>(record.target_now()));
}

CleanupRecord* Cleanups::take_dying() {
  CleanupRecord* list = nullptr;
  LockGuard guard(lock_);
  for (Block* block = blocks_; block != nullptr; block = block->next) {
    if (!block->suspect) continue;
    for (CleanupRecord& record : block->records) {
      if (!watches_white(record) || !record.is_destructor()) continue;
      record.state.store_release(CleanupRecord::dying);
      --watched_;
      record.next = list;
      list = &record;
    }
  }
  return list;
}

void Cleanups::take_dead() {
  LockGuard guard(lock_);
  for (Block* block = blocks_; block != nullptr; block = block->next) {
    if (!block->suspect) continue;
    for (CleanupRecord& record : block->records) {
      if (!watches_white(record)) continue;
      AtomicRef<void*>(record.target).store_relaxed(nullptr);
      --watched_;
      append(record);
    }
  }
}

CleanupRecord* Cleanups::enqueue(CleanupRecord* list) {
  constexpr int kMost = 256;
  LockGuard guard(lock_);
  for (int i = 0; i < kMost && list != nullptr; ++i) {
    CleanupRecord* next = list->next;
    append(*list);
    list = next;
  }
  return list;
}

// --- running -------------------------------------------------------------------------------------

bool Cleanups::become_runner(Thread& self) {
  for (;;) {
    std::uint32_t turn = 0;
    {
      const RuntimeScope runtime(self);
      LockGuard guard(lock_);
      if (runner_ == &self) return false;
      if (runner_ == nullptr) {
        runner_ = &self;
        return true;
      }
      turn = turn_.load_relaxed();
    }
    world.enter_blocking(self);
    futex_wait(turn_, turn);
    world.leave_blocking(self);
  }
}

void Cleanups::stop_running() {
  const MaybeRuntimeScope runtime;
  {
    LockGuard guard(lock_);
    runner_ = nullptr;
    turn_.fetch_add_acq_rel(1);
  }
  futex_wake(turn_, 1 << 30);
}

CleanupRecord* Cleanups::pop_due() {
  const MaybeRuntimeScope runtime;
  LockGuard guard(lock_);
  CleanupRecord* record = first_due_;
  if (record == nullptr) return nullptr;
  first_due_ = record->next;
  if (first_due_ == nullptr) last_due_ = nullptr;
  due_.fetch_sub_relaxed(1);
  record->state.store_release(CleanupRecord::running);
  return record;
}

// The record, which is a root until the destructor has returned, is all that keeps the object.
void Cleanups::execute(CleanupRecord& record) {
  const bool destructor = record.is_destructor();
  void* const what = destructor ? record.target_now() : record.callable;
  if (what != nullptr) {
    try {
      record.run(what);
      if (!destructor) record.drop(what);
    } catch (const std::exception& e) {
      fatal("exception from the {} {}: {}", destructor ? "destructor of" : "cleanup", record.name,
            e.what());
    } catch (...) {
      fatal("exception from the {} {}", destructor ? "destructor of" : "cleanup", record.name);
    }
  }
  const MaybeRuntimeScope runtime;
  if (destructor) write_reference(&record.target, nullptr);
  LockGuard guard(lock_);
  free_record(record);
}

std::size_t Cleanups::run() {
  const OutOfBlocking out;
  Thread& self = world.attach();
  if (!become_runner(self)) return 0;
  std::size_t count = 0;
  while (CleanupRecord* record = pop_due()) {
    execute(*record);
    ++count;
  }
  stop_running();
  return count;
}

namespace {

// Merge sort of a list, newest first.
CleanupRecord* merge(CleanupRecord* a, CleanupRecord* b) {
  CleanupRecord* head = nullptr;
  CleanupRecord** end = &head;
  while (a != nullptr && b != nullptr) {
    CleanupRecord*& newer = a->id > b->id ? a : b;
    CleanupRecord* const first = newer;
    newer = first->next;
    *end = first;
    end = &first->next;
  }
  *end = a != nullptr ? a : b;
  return head;
}

CleanupRecord* sorted(CleanupRecord* list, std::size_t length) {
  if (length < 2) return list;
  CleanupRecord** half = &list;
  for (std::size_t i = 0; i < length / 2; ++i) half = &(*half)->next;
  CleanupRecord* rest = std::exchange(*half, nullptr);
  return merge(sorted(list, length / 2), sorted(rest, length - length / 2));
}

}  // namespace

// All that is watched, destructors first and alone; newest first.
CleanupRecord* Cleanups::take_all_watching() {
  const MaybeRuntimeScope runtime;
  LockGuard guard(lock_);
  CleanupRecord* list = nullptr;
  std::size_t length = 0;
  for (const bool destructors : {true, false}) {
    for (Block* block = blocks_; block != nullptr; block = block->next) {
      for (CleanupRecord& record : block->records) {
        if (record.state.load_relaxed() != CleanupRecord::watching) continue;
        if (record.is_destructor() != destructors) continue;
        if (!destructors) AtomicRef<void*>(record.target).store_relaxed(nullptr);
        record.state.store_release(CleanupRecord::dying);
        --watched_;
        record.next = list;
        list = &record;
        ++length;
      }
    }
    if (list != nullptr) break;
  }
  return sorted(list, length);
}

void Cleanups::run_all() {
  end_thread();
  Thread& self = world.attach();
  for (;;) {
    run();
    // No cycle is to find the same objects dead.
    collector.hold_cycles(self);
    weak_slots.clear_all();
    // A cycle may have found something dead meanwhile, and the thread be at it: what that makes
    // will be watched, and it may wait for a collection. So this is asked first.
    bool idle = false;
    {
      const RuntimeScope runtime(self);
      LockGuard guard(lock_);
      idle = runner_ == nullptr && first_due_ == nullptr;
    }
    CleanupRecord* list = take_all_watching();
    const bool done = idle && list == nullptr;
    {
      const RuntimeScope runtime(self);
      while (list != nullptr) list = enqueue(list);
    }
    collector.release_cycles();
    if (done) return;
  }
}

// --- entries -------------------------------------------------------------------------------------

void watch_destructor(void* object, void (*destroy)(void*), const char* name) {
  std::uint64_t id = 0;
  watch_cleanup(object, destroy, nullptr, nullptr, name, id);
}

CleanupRecord& watch_cleanup(void* object, void (*run)(void*), void (*drop)(void*), void* callable,
                             const char* name, std::uint64_t& id) {
  return *or_bad_alloc([&] { return cleanups.watch(object, run, drop, callable, name, id); });
}

namespace {

bool is_object(const void* address) {
  return object_at(reinterpret_cast<std::uintptr_t>(address)).span != nullptr;
}

}  // namespace

void require_object(const void* address, const char* who) {
  if (is_object(address)) return;
  alloc::AddressLine found;
  if (collector.started()) {
    world.attach();
    bool object = false;
    with_world_stopped([&] {
      // A sweep may just have been exchanging the span's bitmaps.
      object = is_object(address);
      if (!object) found = alloc::describe(address);
    });
    if (object) return;
  } else {
    found = alloc::describe(address);
  }
  throw std::invalid_argument(
      fmt::format("{}: not the address of a collected object: {}", who, found.view()));
}

bool stop_cleanup(CleanupRecord& record, std::uint64_t id, void (*drop)(void*)) {
  void* callable = nullptr;
  {
    const MaybeRuntimeScope runtime;
    callable = cleanups.stop(record, id);
  }
  if (callable == nullptr) return false;
  drop(callable);
  return true;
}

}  // namespace gort::gc

namespace gort {

std::size_t run_cleanups() {
  gc::require_started("run_cleanups");
  return gc::cleanups.run();
}

}  // namespace gort
