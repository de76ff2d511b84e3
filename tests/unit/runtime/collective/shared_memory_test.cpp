// SPDX-License-Identifier: Apache-2.0
// What shared memory promises between processes: nobody hangs on a dead peer and nothing is left behind.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/collective/make_communicator.hpp"
#include "runtime/collective/memory_bootstrap_store.hpp"
#include "runtime/collective/segment_communicator.hpp"
#include "runtime/collective/shared_memory_join.hpp"
#include "tests/support/rank_process.hpp"
#include "tests/support/rank_threads.hpp"
#include "tests/unit/runtime/collective/backends.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

std::unique_ptr<communicator> join(communicator_options options, int rank) {
  memory_bootstrap_store unused;
  options.rank = rank;
  return make_communicator(options, unused);
}

communicator_options shared_options(int size) { return options_for(communicator_kind::shared_memory, size); }

bool is_left_behind(const communicator_options& options) {
  return std::filesystem::exists("/dev/shm" + shared_memory_name(options));
}

bool have_joined(const communicator_options& options, std::uint32_t ranks) {
  const auto layout = layout_for(options);
  const int file = shm_open(shared_memory_name(options).c_str(), O_RDWR, 0);
  if (file < 0) return false;
  struct stat status {};
  if (fstat(file, &status) != 0 || status.st_size != static_cast<off_t>(segment::bytes(layout))) {
    close(file);
    return false;
  }
  const segment shared(layout, file);
  return shared.header().identity.magic == segment_magic && shared.header().joined.value >= ranks;
}

/// To be called while fewer than all are expected: the name lasts only until then.
void wait_until_joined(const communicator_options& options, std::uint32_t ranks) {
  while (!have_joined(options, ranks))
    std::this_thread::yield();
}

/// What the call threw.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "nothing";
}

}  // namespace

TEST_CASE("processes get the same sum and leave nothing in /dev/shm") {
  const auto options = shared_options(2);
  const auto sum_as = [&](int rank) {
    const auto c = join(options, rank);
    std::vector<float> values(200'000, static_cast<float>(rank + 1));
    c->all_reduce_sum(values);
    for (const auto value : values)
      if (value != 3.0F) throw std::runtime_error("a wrong sum");
  };
  rank_process other([&] { sum_as(1); });
  CHECK_NOTHROW(sum_as(0));
  CHECK(other.wait() == 0);
  CHECK_FALSE(is_left_behind(options));
}

TEST_CASE("the name in /dev/shm is gone once all have joined, so that a later crash leaves nothing") {
  const auto options = shared_options(2);
  rank_process other([&] {
    const auto c = join(options, 1);
    c->barrier();
    raise(SIGKILL);
  });
  const auto c = join(options, 0);
  CHECK_FALSE(is_left_behind(options));
  c->barrier();
  CHECK(other.wait() == -SIGKILL);
}

TEST_CASE("a killed peer is named as dead long before the deadline") {
  auto options = shared_options(2);
  options.deadline = 10min;
  rank_process other([&] {
    const auto c = join(options, 1);
    raise(SIGSTOP);
  });
  const auto c = join(options, 0);
  other.wait_until_stopped();
  other.signal(SIGKILL);
  CHECK_THAT(error_of([&] { c->barrier(); }), ContainsSubstring("rank 1 is gone") && ContainsSubstring("has died"));
}

TEST_CASE("a peer killed while this rank sends or receives is named as dead") {
  auto options = shared_options(2);
  options.deadline = 10min;
  options.send_ahead_bytes = 4096;
  for (const bool sends : {false, true}) {
    CAPTURE(sends);
    rank_process other([&] {
      const auto c = join(options, 1);
      raise(SIGSTOP);
    });
    const auto c = join(options, 0);
    other.wait_until_stopped();
    other.signal(SIGKILL);
    std::vector<std::byte> bytes(10'000);
    CHECK_THAT(error_of([&] { sends ? c->send(bytes, 1) : c->receive(bytes, 1); }), ContainsSubstring("has died"));
  }
}

TEST_CASE("a stopped peer is waited for until the deadline and named as stopped") {
  auto options = shared_options(2);
  options.deadline = 200ms;
  rank_process other([&] {
    const auto c = join(options, 1);
    raise(SIGSTOP);
  });
  const auto c = join(options, 0);
  other.wait_until_stopped();
  CHECK_THAT(error_of([&] { c->barrier(); }),
             ContainsSubstring("rank 1 did not come") && ContainsSubstring("is stopped"));
}

TEST_CASE("a rank that died while others had yet to join is named, and nothing is left") {
  auto options = shared_options(3);
  options.join_deadline = 10min;
  rank_process other([&] { join(options, 1); });
  wait_until_joined(options, 1);
  const auto errors = run_threads(2, [&](int thread) {
    if (thread == 0) {
      join(options, 0);
    } else {
      wait_until_joined(options, 2);
      other.signal(SIGKILL);
    }
  });
  CHECK_THAT(errors[0], ContainsSubstring("rank 1 is gone") && ContainsSubstring("ranks 2"));
  CHECK_FALSE(is_left_behind(options));
}

TEST_CASE("what a crash left under the name is replaced") {
  const auto options = shared_options(2);
  const auto name = shared_memory_name(options);
  const std::string contents = GENERATE(std::string(1, 'x'), std::string(100'000, '\0'), std::string(100'000, 'x'));
  std::ofstream("/dev/shm" + name) << contents;
  const auto errors = run_ranks(options, [](communicator& c) { c.barrier(); });
  CHECK(errors == std::vector<std::string>{"", ""});
  CHECK_FALSE(is_left_behind(options));
}

TEST_CASE("a group can form again after a rank was killed while it waited to join") {
  auto options = shared_options(2);
  rank_process crashed([&] { join(options, 1); });
  wait_until_joined(options, 1);
  crashed.signal(SIGKILL);
  REQUIRE(crashed.wait() == -SIGKILL);
  REQUIRE(is_left_behind(options));
  const auto errors = run_ranks(options, [](communicator& c) { c.barrier(); });
  CHECK(errors == std::vector<std::string>{"", ""});
  CHECK_FALSE(is_left_behind(options));
}

TEST_CASE("two ranks with one number are told so") {
  auto options = shared_options(3);
  options.join_deadline = 100ms;
  const auto errors = run_threads(2, [&](int) { join(options, 1); });
  CHECK_THAT(errors[0] + errors[1], ContainsSubstring("another rank 1 has joined already"));
}

TEST_CASE("ranks that expect different groups under one name are told so") {
  auto options = shared_options(2);
  options.join_deadline = 100ms;
  const auto errors = run_threads(2, [&](int thread) {
    auto mine = options;
    mine.size = 2 + thread;
    join(mine, thread);
  });
  CHECK_THAT(errors[0] + errors[1], ContainsSubstring("a group of"));
  CHECK_FALSE(is_left_behind(options));
}

TEST_CASE("ranks that call different operations are told so") {
  const auto errors = run_ranks(shared_options(2), [](communicator& c) {
    std::vector<float> values(4);
    c.rank() == 0 ? c.barrier() : c.all_reduce_sum(values);
  });
  CHECK_THAT(errors[0] + errors[1], ContainsSubstring("the ranks disagree") && ContainsSubstring("barrier") &&
                                        ContainsSubstring("all_reduce_sum"));
}

TEST_CASE("a receiver that expects another size is told what was sent") {
  const auto errors = run_ranks(shared_options(2), [](communicator& c) {
    std::vector<std::byte> bytes(c.rank() == 0 ? 10 : 20);
    c.rank() == 0 ? c.send(bytes, 1) : c.receive(bytes, 0);
  });
  CHECK_THAT(errors[1], ContainsSubstring("rank 0 sent 10 bytes where 20 were expected"));
}
