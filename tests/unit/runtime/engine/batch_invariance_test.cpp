// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/unit/runtime/engine/executor_group.hpp"

using namespace troupe;

// A token's log-probabilities, compared bit by bit, stand for its logits: they differ when any of them does.

namespace {

constexpr std::size_t generated = 12;
constexpr std::size_t sequences = 4;

std::vector<token_id> prompt_of(std::size_t sequence) {
  std::vector<token_id> tokens;
  for (std::size_t i = 0; i < 20 + 75 * sequence; ++i)
    tokens.push_back(static_cast<token_id>((i * 37 + sequence * 101) % 1024));
  return tokens;
}

/// Tokens, log-probabilities and the 20 most likely of each generated token of each sequence.
using outcome = std::vector<std::vector<sampled_token>>;

bool equal(const outcome& a, const outcome& b) {
  const auto same = [](const sampled_token& x, const sampled_token& y) {
    return x.position == y.position && x.token == y.token && x.logprob == y.logprob && x.top == y.top;
  };
  for (std::size_t i = 0; i < sequences; ++i)
    if (!std::equal(a[i].begin(), a[i].end(), b[i].begin(), b[i].end(), same)) return false;
  return true;
}

struct manner {
  std::size_t chunk;       ///< prompt tokens a step feeds
  bool together;           ///< all sequences at once, else one after the other
  bool sampled_on_device;  ///< feed_sampled, else the tokens come from the plan
  std::size_t block_tokens;
  std::size_t threads;
  bool shuffled_blocks;
};

/// The next share of a sequence; returns false when it has all its tokens.
bool feed_next(plan_maker& plans, std::size_t id, const manner& how, std::size_t& fed, const outcome& so_far) {
  const auto prompt = prompt_of(id);
  if (fed < prompt.size()) {
    const auto end = std::min(prompt.size(), fed + how.chunk);
    plans.feed(id,
               {prompt.begin() + static_cast<std::ptrdiff_t>(fed), prompt.begin() + static_cast<std::ptrdiff_t>(end)},
               end == prompt.size());
    fed = end;
    return true;
  }
  if (so_far[id].size() == generated) return false;
  if (how.sampled_on_device)
    plans.feed_sampled(id);
  else
    plans.feed(id, {so_far[id].back().token}, true);
  return true;
}

outcome generate(const model& source, std::size_t tensor_ranks, const manner& how) {
  engine_options options;
  options.block_tokens = how.block_tokens;
  options.kv_blocks = 96;
  options.threads = how.threads;
  executor_group group(source, tensor_ranks, 1, options);
  std::vector<block_id> blocks(options.kv_blocks);
  std::iota(blocks.begin(), blocks.end(), 0);
  if (how.shuffled_blocks)
    for (std::size_t i = 0; i < blocks.size(); ++i)
      std::swap(blocks[i], blocks[i * 31 % blocks.size()]);
  plan_maker plans(how.block_tokens, blocks);
  outcome result(sequences);
  std::vector<std::size_t> fed(sequences);
  sampling_params sampling;
  sampling.seed = 99;
  sampling.logprobs = 20;
  const auto run_step = [&](std::size_t first, std::size_t last) {
    auto& plan = plans.begin();
    bool busy = false;
    for (auto id = first; id < last; ++id) {
      if (fed[id] == 0) plans.start(id, prompt_of(id).size(), sampling);
      busy = feed_next(plans, id, how, fed[id], result) || busy;
    }
    for (const auto& token : busy ? group.run(plan).sampled : std::vector<sampled_token>{})
      result[token.sequence.value].push_back(token);
    return busy;
  };
  if (how.together) {
    while (run_step(0, sequences))
      continue;
    return result;
  }
  // A step that is not run must not be numbered, so each sequence stops by its count.
  for (std::size_t id = 0; id < sequences; ++id)
    while (result[id].size() < generated)
      run_step(id, id + 1);
  return result;
}

}  // namespace

TEST_CASE("a sequence's tokens are the same bits in any batch, chunks, blocks and number of threads") {
  const std::string name = GENERATE("qwen3-tiny", "qwen2-tiny");
  const std::size_t tensor_ranks = GENERATE(1, 2);
  const auto source = open_model(model_folder(name));
  const auto expected = generate(source, tensor_ranks, {1000, false, false, 16, 1, false});
  for (const auto& one : expected)
    REQUIRE(one.size() == generated);
  const manner manners[] = {{100, true, false, 16, 1, false},
                            {1, false, false, 32, 1, true},
                            {7, true, true, 64, 2, true},
                            {33, true, true, 16, 3, true},
                            {64, false, true, 128, 2, false}};
  for (const auto& how : manners) {
    INFO(name << " chunk " << how.chunk << " blocks of " << how.block_tokens << " threads " << how.threads);
    CHECK(equal(generate(source, tensor_ranks, how), expected));
  }
}
