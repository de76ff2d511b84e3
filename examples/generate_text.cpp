// SPDX-License-Identifier: Apache-2.0
// No actors, no sockets: a model's folder becomes text with plain objects, and this program plays the scheduler.
//
//   conversation -> chat_template -> tokenizer -> step plans -> model_executor -> sampled ids -> incremental_decoder
//
// Run it from the repository root: build/release/example_generate_text
// Next: one_node.cpp, where actors do what main() does here.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "runtime/engine/model_executor.hpp"
#include "runtime/model/model.hpp"
#include "runtime/text/chat_template.hpp"
#include "runtime/text/incremental_decoder.hpp"
#include "runtime/text/tokenizer.hpp"

using namespace troupe;

namespace {

constexpr std::uint32_t answer_tokens_max = 40;

/// As many blocks as `tokens` need. A sequence may use any free ones; this program has one sequence, so it counts up.
std::vector<block_id> first_blocks(std::size_t tokens, std::size_t block_tokens) {
  std::vector<block_id> blocks((tokens + block_tokens - 1) / block_tokens);
  for (std::size_t i = 0; i < blocks.size(); ++i)
    blocks[i] = static_cast<block_id>(i);
  return blocks;
}

int generate_text() {
  // 1. Text. A chat template writes the conversation as the model was trained on it; the tokenizer turns it into ids.
  const std::string folder = "models/demo";
  const auto vocabulary = tokenizer::from_folder(folder);
  const auto chat = chat_template::from_folder(folder);
  const std::vector<chat_message> messages{{"user", "What is 27 + 15?"}};
  const auto prompt = vocabulary.encode(chat->render(messages));
  std::printf("%zu prompt tokens\n", prompt.size());

  // 2. The model. One rank holds all of it: no links to other ranks, the default shard.
  engine_options options;
  options.block_tokens = 16;
  options.kv_blocks = 32;  // KV cache for 512 tokens
  auto source = open_model(folder);
  const auto eos_ids = source.config.eos_ids;
  model_executor engine{std::move(source), shard{}, group_communicators{}, options};
  const auto report = engine.load({});
  std::printf("%.1f MiB of weights, %u blocks of %u tokens\n", static_cast<double>(report.weight_bytes) / (1 << 20),
              report.blocks, report.block_tokens);

  // 3. The first step: the sequence starts, all of the prompt is fed, the last position's logits give a token.
  const sequence_id sequence{1};
  sequence_start start;
  start.sequence = sequence;
  start.sampling.temperature = 0;  // always the most likely token
  start.prompt_tokens = static_cast<std::uint32_t>(prompt.size());
  step_entry feed;
  feed.sequence = sequence;
  feed.tokens = prompt;
  feed.sample = true;
  feed.new_blocks = first_blocks(prompt.size() + answer_tokens_max, report.block_tokens);

  step_plan plan;
  plan.epoch = epoch{1};  // plans of one membership of a group; here there is only one
  plan.started = {start};

  // 4. Every further step feeds the token that the one before sampled.
  incremental_decoder words{vocabulary};
  std::string answer;
  for (std::uint32_t count = 0; count < answer_tokens_max; ++count) {
    ++plan.step;
    plan.entries = {feed};
    const auto token = engine.run(plan).sampled.front().token;
    if (std::find(eos_ids.begin(), eos_ids.end(), token) != eos_ids.end()) break;
    const auto text = words.push(token);  // whole characters only
    std::fputs(text.c_str(), stdout);
    answer += text;
    plan.started.clear();
    feed.position += static_cast<std::uint32_t>(feed.tokens.size());
    feed.tokens = {token};
    feed.new_blocks.clear();
  }
  answer += words.finish();
  std::printf("\n%llu steps\n", static_cast<unsigned long long>(plan.step));
  return answer == "27 + 15 = 42." ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return generate_text();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
