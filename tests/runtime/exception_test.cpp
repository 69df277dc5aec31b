#include <catch2/catch.hpp>

#include <new>

#include <gort/base/metadata.h>
#include <gort/gort.h>
#include <gort/tests/runtime/fixture.h>
#include <gort/tests/support/exceptions.h>

using namespace gort;
using gort_test::exceptions_in_runtime;

TEST_CASE("who walks over the stopped heap and finds no memory says so when the world goes on",
          "[runtime][oom]") {
  const gort_test::Runtime runtime({});
  const Root<gort_test::ListNode> list(gort_test::make_list(10));
  exceptions_in_runtime = 0;
  metadata::fail_allocation_for_test(1, true);
  CHECK_THROWS_AS(ledger(), std::bad_alloc);
  CHECK_THROWS_AS(where_is(list.get()), std::bad_alloc);
  metadata::fail_allocation_for_test(0);
  CHECK(exceptions_in_runtime == 0);
  CHECK(ledger().sum() == ledger().mapped);
  CHECK(where_is(list.get()).place == Place::live);
}
