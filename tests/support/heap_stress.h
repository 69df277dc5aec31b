#pragma once

// Threads that come and go and do everything at once: objects, arrays, maps, Weak, cleanups, roots,
// and a board on which they leave objects to each other. Every object says what it must contain,
// and every touch checks it: with `poison`, `verify` and a collection at every 64th allocation what
// is freed too early is seen soon.

#include <atomic>
#include <cstdint>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <thread>
#include <vector>

#include <gort/gort.h>

namespace gort_test {

struct StressCell {
  gort::Ref<StressCell> next, other;
  gort::Ref<gort::Ref<StressCell>> array;
  std::uint64_t id = 0;
  std::uint64_t check = 0;
  GORT_FIELDS(StressCell, next, other, array);

  bool intact() const { return check == ~id; }
};

class HeapStress {
 public:
  /// `lanes` threads at a time; each does `operations`, then the next one takes its place,
  /// `generations` times. The runtime is started; the calling thread is attached.
  void run(std::uint64_t seed, std::size_t lanes, std::size_t generations, std::size_t operations) {
    board_.resize(64);
    std::vector<std::thread> threads;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      threads.emplace_back([=, this] {
        for (std::size_t g = 0; g < generations; ++g) {
          std::thread([=, this] { live(seed + lane * 1000 + g, operations); }).join();
        }
      });
    }
    const gort::Blocking blocking;
    for (std::thread& t : threads) t.join();
  }
  void forget() { board_.clear(); }

  std::atomic<std::uint64_t> wrong{0};      ///< touches of something that was not what it was
  std::atomic<std::uint64_t> watched{0};    ///< cleanups that were added
  std::atomic<std::uint64_t> cleaned{0};    ///< and that have run
  std::atomic<std::uint64_t> weak_dead{0};  ///< weak references that were seen null
  std::atomic<std::uint64_t> weak_live{0};

 private:
  using Cell = StressCell;

  struct Thread {
    explicit Thread(std::uint64_t seed) : random(seed) {}
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(random() % n); }
    gort::Root<Cell>& slot() { return slots[below(slots.size())]; }

    std::mt19937_64 random;
    std::vector<gort::Root<Cell>> slots{32};
    std::vector<gort::Weak<Cell>> weak{16};
    gort::Map<long, gort::Ref<Cell>> map = gort::make_map<long, gort::Ref<Cell>>(0);
  };

  // Threads leave objects to each other, so what they share is guarded as any program's would be:
  // shared_ to read references of objects, exclusively to change them in objects that others may
  // have. Nobody allocates with it held.
  void touch(const Cell* cell) {
    const std::shared_lock<std::shared_mutex> guard(shared_);
    for (int depth = 0; cell != nullptr && depth < 4; ++depth) {
      if (!cell->intact()) ++wrong;
      const Cell* const other = cell->other;
      if (other != nullptr && !other->intact()) ++wrong;
      cell = cell->next;
    }
  }

  Cell* make_cell(Thread& t) {
    Cell* cell = gort::make<Cell>();
    cell->id = t.random();
    cell->check = ~cell->id;
    return cell;
  }

  void live(std::uint64_t seed, std::size_t operations) {
    const gort::AttachThread attach;
    Thread t(seed);
    for (std::size_t i = 0; i < operations; ++i) step(t);
  }

  void step(Thread& t) {
    switch (t.below(12)) {
      case 0:
      case 1:
      case 2: {  // an object in front of what is there
        gort::Root<Cell>& slot = t.slot();
        Cell* cell = make_cell(t);
        if (t.below(8) != 0) cell->next = slot.get();
        cell->other = t.slot().get();
        slot = cell;
        break;
      }
      case 3: {  // an array, small or large
        Cell* cell = make_cell(t);
        const std::size_t n = t.below(20) == 0 ? 6000 : 1 + t.below(40);
        cell->array = gort::make_array<gort::Ref<Cell>>(n);
        for (std::size_t k = 0; k < n; k += 1 + n / 8) cell->array.get()[k] = t.slot().get();
        for (std::size_t k = 0; k < n; k += 1 + n / 8) touch(cell->array.get()[k]);
        t.slot() = cell;
        break;
      }
      case 4:
        touch(t.slot().get());
        break;
      case 5:
        t.slot() = nullptr;
        break;
      case 6: {  // insert
        const long key = static_cast<long>(t.below(500));
        t.map[key] = make_cell(t);
        break;
      }
      case 7: {  // find, erase, now and then drop all
        const long key = static_cast<long>(t.below(500));
        if (gort::Ref<Cell>* found = t.map.find(key)) touch(*found);
        if (t.below(2) == 0) t.map.erase(key);
        if (t.below(200) == 0) t.map.clear();
        if (t.below(200) == 0) t.map = gort::make_map<long, gort::Ref<Cell>>(t.below(300));
        break;
      }
      case 8: {  // cut and mend
        const std::lock_guard<std::shared_mutex> guard(shared_);
        if (Cell* cell = t.slot().get()) {
          cell->next = t.below(2) == 0 ? nullptr : t.slot().get();
          cell->other = cell;
        }
        break;
      }
      case 9:
        t.weak[t.below(t.weak.size())] = gort::Weak<Cell>(t.slot().get());
        break;
      case 10: {
        if (const Cell* cell = t.weak[t.below(t.weak.size())].get()) {
          ++weak_live;
          touch(cell);
        } else {
          ++weak_dead;
        }
        Cell* cell = make_cell(t);
        ++watched;
        gort::add_cleanup(cell, [this] { ++cleaned; });
        t.slot() = cell;
        break;
      }
      default: {  // the board
        const std::lock_guard<std::mutex> guard(lock_);
        gort::Root<Cell>& place = board_[t.below(board_.size())];
        gort::Root<Cell>& slot = t.slot();
        std::swap(place, slot);
        break;
      }
    }
  }

  std::mutex lock_;
  std::shared_mutex shared_;
  std::vector<gort::Root<Cell>> board_;
};

}  // namespace gort_test
