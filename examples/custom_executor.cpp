// SPDX-License-Identifier: Apache-2.0
// The seam between deciding and computing: an executor of our own behind the same actors. This one needs no weights; it
// answers a prompt with the prompt's tokens from last to first. Scheduler, batching, streams, cancelling and recovery
// are those of a real model.
//
// Run it from the repository root: build/release/example_custom_executor
// The contract is runtime/engine/executor.hpp; the real one is runtime/engine/model_executor.hpp.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <caf/all.hpp>

#include "actors/client.hpp"
#include "actors/system_config.hpp"
#include "actors/thread_launcher.hpp"
#include "apps/troupe/logging.hpp"
#include "apps/troupe/serving.hpp"
#include "runtime/engine/sequence_table.hpp"
#include "topology/cluster_file.hpp"

using namespace troupe;

namespace {

constexpr std::uint32_t blocks = 64;
constexpr std::uint32_t block_tokens = 16;

/// Says a prompt backwards. What a sequence holds is a function of the plans so far, and sequence_table keeps it, so
/// that a sequence that moves here from elsewhere, tokens and all, goes on where it was.
class backwards_executor final : public blocking_executor {
 public:
  explicit backwards_executor(const model_config& config)
      : end_(config.eos_ids.front()),
        sequences_({config.vocabulary_size, config.positions_max, block_tokens, blocks, 2048, true}) {}

  load_report load(const load_progress& progress) override {
    if (progress) progress(1, 1);
    return {0, 0, blocks, block_tokens};  // the scheduler plans with these blocks, whatever they hold
  }

  bool samples() const override { return true; }  // the group has one rank
  void abort() noexcept override { aborted_.store(true); }

 private:
  step_result compute(const step_plan& plan) override {
    if (aborted_.load()) throw std::runtime_error("the executor was aborted");
    step_result result{plan.epoch, plan.step, {}, 0};
    for (const auto& entry : sequences_.apply(plan)) {  // throws for a plan that contradicts earlier ones
      if (!entry.sample) continue;                      // a chunk of a prompt that goes on
      auto& sequence = *entry.sequence;
      const auto token = next_token(sequence);
      sequence.sampled = token;  // a later plan may say feed_sampled
      result.sampled.push_back({sequence.id, static_cast<std::uint32_t>(sequence.tokens.size()), token, 0, {}});
    }
    return result;
  }

  token_id next_token(const engine_sequence& sequence) const {
    const auto answered = sequence.tokens.size() - sequence.prompt_tokens;
    return answered < sequence.prompt_tokens ? sequence.tokens[sequence.prompt_tokens - 1 - answered] : end_;
  }

  token_id end_;
  sequence_table sequences_;
  std::atomic<bool> aborted_{false};
};

// The model's folder gives tokenizer and shape; its weights are not loaded.
constexpr const char* topology_text = R"(
cluster: custom
model: models/demo
nodes:
  a: {address: 127.0.0.1, port: 0}
groups:
  - name: g0
    ranks: [a/cpu:0]
isolation: thread
)";

std::string backwards(const std::string& text, const tokenizer& vocabulary) {
  auto ids = vocabulary.encode(text);
  std::reverse(ids.begin(), ids.end());
  return vocabulary.decode(ids);
}

std::string complete(client& cluster, const std::string& text) {
  generation what;
  what.prompt.text = text;  // as it is: no chat template
  what.stops.max_tokens = 0;
  std::string answer;
  for (const auto& event : cluster.generate(std::move(what)))
    answer += event.text;
  return answer;
}

int run_custom_executor() {
  start_logging("custom-executor", "warning");  // what the actors say goes to standard error
  const auto file = parse_cluster_file(topology_text, "custom_executor.yaml");
  const auto model = read_model_bundle(file);
  system_config config{{.network = false, .threads = 0}};
  caf::actor_system system{config};

  // The one line that differs from one_node.cpp: the same rank, another executor.
  auto recipe = [usual = make_rank_recipe(system, file, "a", model), model](const rank_start& start,
                                                                            const node_actor& node) {
    auto parts = usual(start, node);
    parts.make_executor = [model](const group_view&) { return std::make_unique<backwards_executor>(model.config); };
    return parts;
  };
  serving_scope actors{spawn_serving(system, file, model, "a", std::make_shared<thread_launcher>(system, recipe))};
  actors->start();

  client cluster{system, actors->node};
  if (!cluster.wait_until_ready(std::chrono::seconds(60))) throw std::runtime_error("the group did not start");
  bool right = true;
  for (const std::string text : {"one two three", "Monday, Tuesday, Wednesday", "a b c d e f g h"}) {
    const auto answer = complete(cluster, text);
    std::printf("%s -> %s\n", text.c_str(), answer.c_str());
    right = right && answer == backwards(text, *model.text->vocabulary());
  }
  return right ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return run_custom_executor();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
