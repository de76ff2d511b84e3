// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/support/rehearsal.hpp"

namespace {

using namespace troupe;
using namespace troupe::test;

constexpr std::uint64_t operations = 100'000;
constexpr std::uint64_t operations_each = 1'000;  // with other options

/// One scheduler under random options and random operations, all drawn from one seed.
class episode {
 public:
  explicit episode(std::uint64_t seed) : random_(seed), options_(draw_options()), stage_(options_) {
    for (std::uint32_t i = 0; i < 4; ++i)
      prefixes_.push_back(draw_tokens(below(6 * options_.block_tokens) + 1));
  }

  void run() {
    for (std::uint64_t i = 0; i < operations_each; ++i) {
      operate();
      stage_.subject().check();
    }
    stage_.run_until_idle();
    check_end();
  }

  scheduler_stats stats() const { return stage_.stats(); }

 private:
  std::uint32_t below(std::uint64_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  bool once_in(std::uint32_t n) { return below(n) == 0; }

  scheduler_options draw_options() {
    scheduler_options options;
    options.epoch = epoch{1 + below(5)};
    options.block_tokens = 1U << below(4);
    options.blocks = 4 + (once_in(3) ? below(200) : below(24));
    options.context_length = 16 + below(120);
    options.max_sequences = 1 + below(8);
    options.max_batch_tokens = once_in(4) ? 1 + below(8) : 8 + below(60);
    options.max_chunk_tokens = once_in(3) ? 1 + below(10) : 0;
    options.max_queue = 1 + below(12);
    options.eos_ids = {3, 7};
    options.plans_in_flight = 1 + below(3);
    options.feed_sampled = once_in(2);
    options.prefix_reuse = !once_in(4);
    return options;
  }

  std::vector<token_id> draw_tokens(std::size_t count) {
    std::vector<token_id> tokens(count);
    for (auto& token : tokens)
      token = static_cast<token_id>(below(once_in(2) ? 3 : rehearsal::vocabulary));
    return tokens;
  }

  void operate() {
    switch (below(10)) {
      case 0:
      case 1:
        stage_.enqueue(draw_request());
        break;
      case 2:
        if (once_in(3)) abort();
        break;
      case 3:
      case 4:
      case 5:
      case 6:
        stage_.plan();
        break;
      default:
        stage_.complete();
    }
  }

  void abort() {
    // Requests that are over or never were are aborted too.
    const auto id = request_id{below(next_id_ + 2)};
    const auto found = stage_.performances().find(id);
    const bool live = found != stage_.performances().end() && found->second.endings == 0;
    REQUIRE((stage_.abort(id) != abort_result::unknown) == live);
  }

  generation_request draw_request() {
    auto tokens = prefixes_[below(prefixes_.size())];
    if (!once_in(3)) {  // part of a known prefix, then something of its own
      tokens.resize(below(tokens.size()) + 1);
      const auto own = draw_tokens(below(20));
      tokens.insert(tokens.end(), own.begin(), own.end());
    }
    auto request = ask(once_in(20) ? below(next_id_ + 1) : next_id_++, std::move(tokens), 1 + below(40));
    request.priority = static_cast<std::int32_t>(below(3)) - 1;
    request.sampling.seed = below(3);
    request.stops.ignore_eos = once_in(2);
    if (once_in(3)) request.stops.stop_ids = {static_cast<token_id>(below(rehearsal::vocabulary))};
    if (const auto output = stage_.sequential(request); once_in(5))  // goes on where another group stopped
      request.tokens.insert(request.tokens.end(), output.begin(), output.begin() + below(output.size() + 1));
    if (once_in(4)) prefixes_[below(prefixes_.size())] = request.tokens;
    return request;
  }

  void check_end() {
    REQUIRE(stage_.subject().idle());
    stage_.subject().check();
    CHECK(stage_.stats().blocks_used == 0);
    CHECK(stage_.stats().blocks_free + stage_.stats().blocks_cached == options_.blocks);
    for (const auto& [id, seen] : stage_.performances()) {
      INFO("request " << id.value);
      REQUIRE(seen.endings == 1);
      auto expected = stage_.sequential(seen.request);
      if (seen.finish == finish_reason::abort) {
        REQUIRE(seen.output.size() <= expected.size());
        expected.resize(seen.output.size());
      }
      REQUIRE(seen.output == expected);
    }
  }

  std::mt19937_64 random_;
  scheduler_options options_;
  rehearsal stage_;
  std::vector<std::vector<token_id>> prefixes_;
  std::uint64_t next_id_ = 1;
};

std::uint64_t first_seed() {
  const auto* given = std::getenv("TROUPE_SEED");
  return given == nullptr ? 1 : std::strtoull(given, nullptr, 10);
}

}  // namespace

TEST_CASE("whatever happens in whatever order, every request gets the tokens it would get alone") {
  scheduler_stats seen;
  for (std::uint64_t i = 0; i < operations / operations_each; ++i) {
    const auto seed = first_seed() + i;
    INFO("replay with TROUPE_SEED=" << seed);
    episode each(seed);
    try {
      each.run();
    } catch (const std::exception& error) {
      FAIL(error.what());
    }
    seen.preemptions += each.stats().preemptions;
    seen.blocks_evicted += each.stats().blocks_evicted;
    seen.prefix_tokens_reused += each.stats().prefix_tokens_reused;
    seen.requests_aborted += each.stats().requests_aborted;
    seen.requests_finished += each.stats().requests_finished;
    seen.requests_refused += each.stats().requests_refused;
  }
  // The operations were such that everything happened.
  CHECK(seen.preemptions > 100);
  CHECK(seen.blocks_evicted > 1'000);
  CHECK(seen.prefix_tokens_reused > 10'000);
  CHECK(seen.requests_aborted > 100);
  CHECK(seen.requests_refused > 1'000);
  CHECK(seen.requests_finished > 3'000);
}
