// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/activations.hpp"

#include <utility>
#include <vector>

namespace troupe {

namespace {

struct shape {
  tensor activations::*member;
  std::size_t rows;
  std::size_t columns;
};

std::vector<shape> shapes(const model_config& config, const shard_layout& layout, std::size_t tokens) {
  const auto hidden = config.hidden_size;
  const auto query = layout.heads.count * config.head_size;
  const auto kv = layout.kv_heads.count * config.head_size;
  const auto half = config.head_size / 2;
  return {{&activations::hidden, tokens, hidden},
          {&activations::normed, tokens, hidden},
          {&activations::delta, tokens, hidden},
          {&activations::query, tokens, query},
          {&activations::key, tokens, kv},
          {&activations::value, tokens, kv},
          {&activations::attended, tokens, query},
          {&activations::gate, tokens, layout.intermediate.count},
          {&activations::up, tokens, layout.intermediate.count},
          {&activations::cosines, tokens, half},
          {&activations::sines, tokens, half},
          {&activations::last, activations::logit_rows, hidden},
          {&activations::logits, activations::logit_rows, layout.vocabulary_padded}};
}

/// Each buffer starts on a cache line.
std::size_t padded_elements(const shape& x) { return (x.rows * x.columns + 15) / 16 * 16; }

}  // namespace

std::size_t activations::bytes_for(const model_config& config, const shard_layout& layout, std::size_t batch_tokens) {
  std::size_t elements = 0;
  for (const auto& x : shapes(config, layout, batch_tokens))
    elements += padded_elements(x);
  return elements * sizeof(float);
}

activations::activations(const model_config& config, const shard_layout& layout, std::size_t batch_tokens)
    : memory_(bytes_for(config, layout, batch_tokens)) {
  auto* next = memory_.as<float>();
  for (const auto& x : shapes(config, layout, batch_tokens)) {
    this->*x.member = tensor(next, x.rows, x.columns);
    next += padded_elements(x);
  }
}

}  // namespace troupe
