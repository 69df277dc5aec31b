// A collected list, a map that forgets all but one of its pairs, and where the memory is then.
#include <gort/gort.h>

struct Node {
  gort::Ref<Node> next;
  long value = 0;
  GORT_FIELDS(Node, next);
};

int main() {
  gort::start();
  gort::Root<Node> head = gort::make<Node>();  // a root keeps its target alive...
  head->next = gort::make<Node>();             // ...and everything that the target refers to
  auto squares = gort::make_map<long, long>();
  for (long i = 0; i < 100'000; ++i) squares[i] = i * i;
  for (long i = 1; i < 100'000; ++i) squares.erase(i);
  gort::collect();
  const gort::Ledger ledger = gort::ledger();
  for (const gort::Place place : gort::all_places()) {
    fmt::print("{:<14} {:>10}\n", gort::place_name(place), ledger[place]);
  }
  gort::shutdown();
}
