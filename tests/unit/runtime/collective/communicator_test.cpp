// SPDX-License-Identifier: Apache-2.0
// What every communicator promises, shown on each kind with the ranks as threads.
#include "runtime/collective/communicator.hpp"

#include <atomic>
#include <cmath>
#include <cstring>
#include <latch>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/collective/local_group.hpp"
#include "tests/support/faulty_communicator.hpp"
#include "tests/support/rank_threads.hpp"
#include "tests/unit/runtime/collective/backends.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Values whose sum depends on the order of adding.
float value_of(int rank, std::size_t i) {
  const auto mixed = (static_cast<std::uint32_t>(rank) * 2654435761U) ^ (static_cast<std::uint32_t>(i) * 40503U + 17U);
  const auto exponent = static_cast<int>(mixed % 24U) - 12;
  return std::ldexp(static_cast<float>(mixed >> 8U) - 8388608.0F, exponent);
}

std::vector<float> values_of(int rank, std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i)
    values[i] = value_of(rank, i);
  return values;
}

std::vector<float> expected_sum(int ranks, std::size_t count) {
  auto sum = values_of(0, count);
  for (int rank = 1; rank < ranks; ++rank)
    for (std::size_t i = 0; i < count; ++i)
      sum[i] += value_of(rank, i);
  return sum;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

std::vector<std::byte> bytes_of(int rank, std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<std::byte>((i * 7 + static_cast<std::size_t>(rank) * 31 + i / 251) & 0xFF);
  return bytes;
}

void check_all_well(const std::vector<std::string>& errors) {
  for (const auto& error : errors)
    CHECK(error == "");
}

const std::vector<std::size_t> float_counts{0, 1, 2, 3, 17, 1024, 65'535, 65'536, 65'537, 300'001};
const std::vector<std::size_t> byte_counts{0, 1, 3, 63, 4096, 262'143, 262'144, 262'145, 1'000'003};

}  // namespace

TEST_CASE("every rank gets the same bits of the rank-order sum, at any size") {
  const auto kind = GENERATE(from_range(all_kinds()));
  const int ranks = GENERATE(1, 2, 3, 4);
  CAPTURE(kind, ranks);
  const auto n = static_cast<std::size_t>(ranks);
  std::vector<std::vector<std::vector<float>>> sums(n);
  check_all_well(run_ranks(options_for(kind, ranks), [&](communicator& c) {
    for (const auto count : float_counts) {
      auto values = values_of(c.rank(), count);
      c.all_reduce_sum(values);
      sums[static_cast<std::size_t>(c.rank())].push_back(std::move(values));
    }
  }));
  for (std::size_t i = 0; i < float_counts.size(); ++i)
    for (const auto& rank : sums) {
      CAPTURE(float_counts[i]);
      REQUIRE(rank.size() == float_counts.size());
      CHECK(same_bits(rank[i], expected_sum(ranks, float_counts[i])));
    }
}

TEST_CASE("all_gather gives every rank all parts in rank order") {
  const auto kind = GENERATE(from_range(all_kinds()));
  const int ranks = GENERATE(1, 2, 3);
  CAPTURE(kind, ranks);
  std::atomic<int> right{0};
  check_all_well(run_ranks(options_for(kind, ranks), [&](communicator& c) {
    for (const auto count : byte_counts) {
      std::vector<std::byte> expected;
      for (int rank = 0; rank < ranks; ++rank) {
        const auto part = bytes_of(rank, count);
        expected.insert(expected.end(), part.begin(), part.end());
      }
      std::vector<std::byte> all(count * static_cast<std::size_t>(ranks));
      c.all_gather(bytes_of(c.rank(), count), all);
      if (all == expected) ++right;
    }
  }));
  CHECK(right == ranks * static_cast<int>(byte_counts.size()));
}

TEST_CASE("broadcast gives every rank the root's bytes, whoever is root") {
  const auto kind = GENERATE(from_range(all_kinds()));
  const int ranks = GENERATE(1, 2, 3);
  CAPTURE(kind, ranks);
  std::atomic<int> right{0};
  check_all_well(run_ranks(options_for(kind, ranks), [&](communicator& c) {
    for (const auto count : byte_counts)
      for (int root = 0; root < ranks; ++root) {
        auto bytes = bytes_of(c.rank(), count);
        c.broadcast(bytes, root);
        if (bytes == bytes_of(root, count)) ++right;
      }
  }));
  CHECK(right == ranks * ranks * static_cast<int>(byte_counts.size()));
}

TEST_CASE("nobody passes a barrier before all have come") {
  const auto kind = GENERATE(from_range(all_kinds()));
  constexpr int rounds = 100;
  CAPTURE(kind);
  std::atomic<int> come{0};
  std::atomic<bool> early{false};
  check_all_well(run_ranks(options_for(kind, 3), [&](communicator& c) {
    for (int round = 1; round <= rounds; ++round) {
      ++come;
      c.barrier();
      if (come < 3 * round) early = true;
      c.barrier();
    }
  }));
  CHECK(come == 3 * rounds);
  CHECK_FALSE(early);
}

TEST_CASE("messages arrive whole and in order, at any size, in both directions at once") {
  const auto kind = GENERATE(from_range(all_kinds()));
  CAPTURE(kind);
  auto options = options_for(kind, 3);
  options.send_ahead_bytes = 1U << 20U;
  std::atomic<int> right{0};
  check_all_well(run_ranks(options, [&](communicator& c) {
    const int next = (c.rank() + 1) % 3;
    const int previous = (c.rank() + 2) % 3;
    for (const auto count : byte_counts) {
      c.send(bytes_of(c.rank(), count), next);
      std::vector<std::byte> received(count);
      c.receive(received, previous);
      if (received == bytes_of(previous, count)) ++right;
    }
  }));
  CHECK(right == 3 * static_cast<int>(byte_counts.size()));
}

TEST_CASE("a sender runs ahead of the receiver by several micro-batches") {
  const auto kind = GENERATE(from_range(all_kinds()));
  CAPTURE(kind);
  constexpr int batches = 3;
  constexpr std::size_t batch = 5'000'000;
  std::atomic<bool> all_sent{false};
  std::atomic<int> right{0};
  check_all_well(run_ranks(options_for(kind, 2), [&](communicator& c) {
    if (c.rank() == 0) {
      for (int i = 0; i < batches; ++i)
        c.send(bytes_of(i, batch), 1);
      all_sent = true;
      all_sent.notify_all();
      c.barrier();
      return;
    }
    all_sent.wait(false);  // hangs unless send returns although nobody receives
    for (int i = 0; i < batches; ++i) {
      std::vector<std::byte> received(batch);
      c.receive(received, 0);
      if (received == bytes_of(i, batch)) ++right;
    }
    c.barrier();
  }));
  CHECK(right == batches);
}

TEST_CASE("a message larger than the way between the ranks passes through it") {
  const auto kind = GENERATE(from_range(all_kinds()));
  CAPTURE(kind);
  auto options = options_for(kind, 2);
  options.send_ahead_bytes = 64U << 10U;
  std::atomic<bool> right{false};
  check_all_well(run_ranks(options, [&](communicator& c) {
    constexpr std::size_t count = 3'000'001;
    if (c.rank() == 0) return c.send(bytes_of(5, count), 1), c.barrier();
    std::vector<std::byte> received(count);
    c.receive(received, 0);
    right = received == bytes_of(5, count);
    c.barrier();
  }));
  CHECK(right);
}

TEST_CASE("what was sent before the sender left still arrives") {
  const auto kind = GENERATE(from_range(all_kinds()));
  CAPTURE(kind);
  std::atomic<bool> right{false};
  check_all_well(run_ranks(options_for(kind, 2), [&](communicator& c) {
    if (c.rank() == 0) return c.send(bytes_of(0, 100'000), 1);
    std::vector<std::byte> received(100'000);
    c.receive(received, 0);
    right = received == bytes_of(0, 100'000);
  }));
  CHECK(right);
}

TEST_CASE("a call that a peer does not join ends at its deadline and names the peer") {
  const auto kind = GENERATE(from_range(all_kinds()));
  CAPTURE(kind);
  auto options = options_for(kind, 3);
  options.deadline = 100ms;
  std::atomic<bool> done{false};
  const auto errors = run_ranks(options, [&](communicator& c) {
    if (c.rank() == 2) return done.wait(false);
    std::vector<float> values(100);
    try {
      c.all_reduce_sum(values);
    } catch (...) {
      done = true;
      done.notify_all();
      throw;
    }
  });
  CHECK_THAT(errors[0] + errors[1], ContainsSubstring("all_reduce_sum") && ContainsSubstring("rank 2 did not come"));
  CHECK(errors[0] != "");
  CHECK(errors[1] != "");
}

TEST_CASE("receive and send end at the deadline when the peer does neither") {
  const auto kind = GENERATE(from_range(all_kinds()));
  const bool sends = GENERATE(false, true);
  CAPTURE(kind, sends);
  auto options = options_for(kind, 2);
  options.deadline = 100ms;
  options.send_ahead_bytes = 64U << 10U;
  std::atomic<bool> done{false};
  const auto errors = run_ranks(options, [&](communicator& c) {
    if (c.rank() == 1) return done.wait(false);
    std::vector<std::byte> bytes(1'000'000);
    try {
      sends ? c.send(bytes, 1) : c.receive(bytes, 1);
      if (sends) c.send(bytes, 1);
    } catch (...) {
      done = true;
      done.notify_all();
      throw;
    }
    done = true;
    done.notify_all();
  });
  CHECK_THAT(errors[0], ContainsSubstring(sends ? "send" : "receive") && ContainsSubstring("rank 1 did not come"));
}

TEST_CASE("abort from another thread ends a waiting call here and at the peers, and every later one") {
  const auto kind = GENERATE(from_range(all_kinds()));
  CAPTURE(kind);
  std::atomic<int> waiting{0};
  const auto errors = run_ranks(options_for(kind, 3), [&](communicator& c) {
    if (c.rank() == 2) {
      std::thread aborter([&] {
        while (waiting < 2)
          std::this_thread::yield();
        c.abort();
      });
      std::vector<std::byte> bytes(1);
      std::string first;
      try {
        c.receive(bytes, 0);
      } catch (const collective_error& e) {
        first = e.what();
      }
      aborter.join();
      CHECK(first != "");
    } else {
      ++waiting;
    }
    c.barrier();
  });
  for (const auto& error : errors)
    CHECK_THAT(error, ContainsSubstring("barrier"));
  CHECK_THAT(errors[2], ContainsSubstring("abort"));
}

TEST_CASE("a peer that leaves is named at once") {
  const auto kind = GENERATE(from_range(all_kinds()));
  CAPTURE(kind);
  std::latch joined(2);
  const auto errors = run_ranks(options_for(kind, 2), [&](communicator& c) {
    joined.arrive_and_wait();
    if (c.rank() == 0) c.barrier();
  });
  CHECK_THAT(errors[0], ContainsSubstring("rank 1") && ContainsSubstring("left"));
}

TEST_CASE("a rank that does not come to join is named") {
  const auto kind = GENERATE(from_range(all_kinds()));
  CAPTURE(kind);
  auto options = options_for(kind, 3);
  options.join_deadline = 100ms;
  memory_bootstrap_store store;
  const auto errors = run_threads(2, [&](int rank) {
    auto mine = options;
    mine.rank = rank;
    make_communicator(mine, store);
  });
  CHECK_THAT(errors[0] + errors[1], ContainsSubstring("ranks 2 have not come"));
  CHECK(errors[0] != "");
  CHECK(errors[1] != "");
}

TEST_CASE("groups with different names do not meet") {
  const auto kind = GENERATE(from_range(all_kinds()));
  CAPTURE(kind);
  memory_bootstrap_store store;
  std::vector<float> sums(4);
  check_all_well(run_threads(4, [&](int thread) {
    auto options = options_for(kind, 2);
    options.name += thread < 2 ? "/a" : "/b";
    options.rank = thread % 2;
    const auto c = make_communicator(options, store);
    auto& value = sums[static_cast<std::size_t>(thread)];
    value = thread < 2 ? 1.0F : 10.0F;
    c->all_reduce_sum({&value, 1});
  }));
  CHECK(sums == std::vector<float>{2, 2, 20, 20});
}

TEST_CASE("a group of one refuses what no group of one can do") {
  const auto kind = GENERATE(from_range(all_kinds()));
  memory_bootstrap_store store;
  const auto c = make_communicator(options_for(kind, 1), store);
  std::vector<std::byte> bytes(3);
  CHECK_THROWS_AS(c->send(bytes, 0), std::invalid_argument);
  CHECK_THROWS_AS(c->broadcast(bytes, 1), std::invalid_argument);
  c->abort();
  CHECK_THROWS_AS(c->barrier(), collective_error);
}

TEST_CASE("options that cannot be right are refused with what would be") {
  memory_bootstrap_store store;
  auto options = options_for(communicator_kind::local, 2);
  options.rank = 2;
  CHECK_THROWS_WITH(make_communicator(options, store), ContainsSubstring("0 to 1 are possible"));
  options.rank = 0;
  options.name = "no spaces";
  CHECK_THROWS_WITH(make_communicator(options, store), ContainsSubstring("letters, digits"));
}

TEST_CASE("a fault comes at the call it was set for and reaches the peer") {
  auto ranks = make_local_group({.size = 2});
  std::vector<int> finished(2, 0);
  const auto errors = run_threads(2, [&](int rank) {
    const auto index = static_cast<std::size_t>(rank);
    faulty_communicator c(std::move(ranks[index]), {.at_call = rank == 1 ? 3U : 0U});
    for (;; ++finished[index])
      c.barrier();
  });
  CHECK(finished == std::vector<int>{2, 2});
  CHECK_THAT(errors[1], ContainsSubstring("fault injected at call 3"));
  CHECK_THAT(errors[0], ContainsSubstring("rank 1 aborted"));
}
