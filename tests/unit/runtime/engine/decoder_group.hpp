// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/cpu/cpu_device.hpp"
#include "runtime/model/decoder.hpp"
#include "runtime/model/model.hpp"
#include "tests/unit/runtime/engine/thread_group.hpp"

namespace troupe {

/// The decoders of a group, for tests that look at logits: feeds one sequence and returns the last position's.
class decoder_group {
 public:
  decoder_group(const model& source, std::size_t tensor_ranks, std::size_t pipeline,
                isa instructions = available_isas().back(), dtype kv_type = dtype::f32)
      : tensor_(tensor_ranks) {
    auto links = make_thread_links(tensor_ranks, pipeline);
    for (std::size_t i = 0; i < tensor_ranks * pipeline; ++i) {
      auto& rank = ranks_.emplace_back(std::make_unique<rank_parts>(instructions));
      const shard part{i % tensor_ranks, tensor_ranks, i / tensor_ranks, pipeline};
      const auto layout = make_layout(source.config, part);
      rank->links = std::move(links[i]);
      const kv_layer shape{nullptr, kv_type, blocks, block_tokens, layout.kv_heads.count, source.config.head_size};
      rank->cache = kv_memory(shape, layout.layers.count);
      rank->decoder = std::make_unique<decoder>(
          source.config, part, load_weights(source.config, part, source.weights, rank->device.pool(), {}),
          group_links{rank->links.tensor.get(), rank->links.pipeline.get()}, tokens_max);
      for (std::size_t b = 0; b < blocks; ++b)
        rank->blocks.push_back(static_cast<block_id>(b));
    }
  }

  void rewind() { fed_ = 0; }

  std::vector<float> feed(const std::vector<token_id>& tokens) {
    std::vector<std::vector<float>> parts(ranks_.size());
    run_on_threads(ranks_.size(),
                   [&](std::size_t i) { parts[i] = feed_rank(*ranks_[i], tokens, i + tensor_ >= ranks_.size()); });
    fed_ += tokens.size();
    std::vector<float> all;
    for (auto i = ranks_.size() - tensor_; i < ranks_.size(); ++i)
      all.insert(all.end(), parts[i].begin(), parts[i].end());
    return all;
  }

 private:
  static constexpr std::size_t block_tokens = 32;
  static constexpr std::size_t blocks = 64;
  static constexpr std::size_t tokens_max = 1024;

  struct rank_parts {
    explicit rank_parts(isa instructions) : device(1, instructions) {}
    cpu_device device;
    group_communicators links;
    kv_memory cache;
    std::vector<block_id> blocks;
    std::unique_ptr<troupe::decoder> decoder;
  };

  std::vector<float> feed_rank(rank_parts& rank, const std::vector<token_id>& tokens, bool last_stage) const {
    decoder_batch batch;
    batch.tokens = tokens;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      batch.positions.push_back(static_cast<std::uint32_t>(fed_ + i));
      batch.slots.push_back(static_cast<std::int64_t>(fed_ + i));
    }
    batch.sequences.push_back({0, tokens.size(), fed_, rank.blocks});
    const execution on(rank.device);
    rank.decoder->forward(on, batch, rank.cache, std::atomic<bool>{false});
    if (!last_stage) return {};
    const std::size_t last_row = tokens.size() - 1;
    const auto logits = rank.decoder->logits(on, {&last_row, 1});
    return {logits.row<float>(0), logits.row<float>(0) + logits.columns};
  }

  std::size_t tensor_;
  std::size_t fed_ = 0;
  std::vector<std::unique_ptr<rank_parts>> ranks_;
};

/// The greatest difference as a share of the greatest expected value.
inline float relative_error(const std::vector<float>& got, const std::vector<float>& expected) {
  float difference = got.size() == expected.size() ? 0 : 1e9F;
  float greatest = 0;
  for (std::size_t i = 0; i < std::min(got.size(), expected.size()); ++i) {
    difference = std::max(difference, std::abs(got[i] - expected[i]));
    greatest = std::max(greatest, std::abs(expected[i]));
  }
  return difference / greatest;
}

}  // namespace troupe
