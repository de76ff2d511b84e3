// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/cuda_step.hpp"

#include <algorithm>
#include <cassert>

#include <fmt/format.h>

#include "runtime/engine/engine_error.hpp"

namespace troupe {

namespace {

/// Block tables beyond this are of a batch that shares its prefixes many times over.
constexpr std::size_t table_entries_max = std::size_t{16} << 20;

/// Blocks that hold what the entry's rows see.
std::size_t blocks_of(const applied_entry& entry, std::size_t block_tokens) {
  return (entry.position + entry.tokens + block_tokens - 1) / block_tokens;
}

std::size_t tiles_of(const applied_entry& entry, std::size_t group) {
  return (entry.tokens * group + prefill_tile_rows - 1) / prefill_tile_rows;
}

}  // namespace

cuda_step::offsets::offsets(const counts& n)
    : pass(0),
      tokens(pass + 1),
      positions(tokens + n.tokens),
      slots(positions + n.tokens),
      first_row(slots + n.tokens),
      rows(first_row + n.sequences),
      kv_tokens(rows + n.sequences),
      table_start(kv_tokens + n.sequences),
      sampled_row(table_start + n.sequences),
      tiles((sampled_row + n.samples + 1) / 2 * 2),
      table(tiles + 2 * n.tiles) {}

std::size_t cuda_step::description_bytes(const cuda_step_limits& limits) {
  const auto n = limits.batch_tokens;
  const auto each = (limits.positions + limits.block_tokens - 1) / limits.block_tokens;
  // Tiles are cut from each sequence, so there is one more of them than whole tiles for every sequence.
  const counts most{n, n, n, n, n + n * limits.group / prefill_tile_rows};
  return (offsets(most).table + std::min(n * each, table_entries_max)) * sizeof(std::int32_t);
}

std::size_t cuda_step::bytes_for(const cuda_step_limits& limits) {
  return description_bytes(limits) + limits.batch_tokens * sizeof(std::int32_t);
}

cuda_step::cuda_step(const cuda_step_limits& limits)
    : limits_(limits),
      host_{pinned_buffer(description_bytes(limits)), pinned_buffer(description_bytes(limits))},
      device_(description_bytes(limits)),
      chosen_(limits.batch_tokens * sizeof(std::int32_t)) {}

void cuda_step::count(const std::vector<applied_entry>& entries, std::size_t padded_to) {
  total_ = {};
  table_entries_ = 0;
  for (const auto& entry : entries) {
    total_.tokens += entry.tokens;
    total_.sequences += 1;
    total_.samples += entry.sample ? 1 : 0;
    table_entries_ += blocks_of(entry, limits_.block_tokens);
    if (entry.tokens == 1)
      total_.singles += 1;
    else
      total_.tiles += tiles_of(entry, limits_.group);
  }
  if (padded_to == 0) return;
  assert(total_.singles == total_.tokens && total_.samples == total_.tokens && total_.tokens <= padded_to);
  total_.tokens = total_.singles = total_.sequences = total_.samples = padded_to;
}

void cuda_step::fill(const std::vector<applied_entry>& entries, std::size_t padded_to) {
  count(entries, padded_to);
  const auto bytes = (offsets(total_).table + table_entries_) * sizeof(std::int32_t);
  turn_ = 1 - turn_;
  if (bytes > device_.bytes())
    throw engine_error(fmt::format("the block tables of {} sequences have {} entries; {} fit", total_.sequences,
                                   table_entries_, device_.bytes() / sizeof(std::int32_t) - offsets(total_).table));
  host_[turn_].as<std::uint32_t>()[offsets(total_).pass] = ++pass_;
  used_ = {};
  table_entries_ = 0;
  sampled_.clear();
  sampled_order_.clear();
  for (const bool single : {true, false}) {
    std::size_t order = 0;
    for (const auto& entry : entries) {
      if ((entry.tokens == 1) == single) {
        if (entry.sample) {
          sampled_.push_back(entry.sequence);
          sampled_order_.push_back(order);
        }
        add(entry);
      }
      if (entry.sample) ++order;
    }
  }
  if (padded_to != 0) pad(padded_to);
}

void cuda_step::add(const applied_entry& entry) {
  const offsets at(total_);
  auto* words = host_[turn_].as<std::int32_t>();
  const auto& sequence = *entry.sequence;
  const auto first_row = used_.tokens;
  for (std::size_t position = entry.position; position < entry.position + entry.tokens; ++position) {
    const auto block = sequence.blocks[position / limits_.block_tokens];
    words[at.tokens + used_.tokens] = sequence.tokens[position];
    words[at.positions + used_.tokens] = static_cast<std::int32_t>(position);
    words[at.slots + used_.tokens] = static_cast<std::int32_t>(static_cast<std::size_t>(block) * limits_.block_tokens +
                                                               position % limits_.block_tokens);
    ++used_.tokens;
  }
  const auto index = used_.sequences++;
  words[at.first_row + index] = static_cast<std::int32_t>(first_row);
  words[at.rows + index] = static_cast<std::int32_t>(entry.tokens);
  words[at.kv_tokens + index] = static_cast<std::int32_t>(entry.position + entry.tokens);
  words[at.table_start + index] = static_cast<std::int32_t>(table_entries_);
  const auto blocks = blocks_of(entry, limits_.block_tokens);
  std::copy_n(sequence.blocks.begin(), blocks, words + at.table + table_entries_);
  table_entries_ += blocks;
  if (entry.sample) words[at.sampled_row + used_.samples++] = static_cast<std::int32_t>(used_.tokens - 1);
  if (entry.tokens == 1) return;
  for (std::size_t tile = 0; tile < tiles_of(entry, limits_.group); ++tile, ++used_.tiles) {
    words[at.tiles + 2 * used_.tiles] = static_cast<std::int32_t>(index);
    words[at.tiles + 2 * used_.tiles + 1] = static_cast<std::int32_t>(tile);
  }
}

void cuda_step::pad(std::size_t rows) {
  const offsets at(total_);
  auto* words = host_[turn_].as<std::int32_t>();
  for (auto row = used_.tokens; row < rows; ++row) {
    words[at.tokens + row] = 0;
    words[at.positions + row] = 0;
    words[at.slots + row] = -1;
    words[at.first_row + row] = static_cast<std::int32_t>(row);
    words[at.rows + row] = 1;
    words[at.kv_tokens + row] = 0;
    words[at.table_start + row] = 0;
    words[at.sampled_row + row] = static_cast<std::int32_t>(row);
  }
}

void cuda_step::upload(cuda_stream stream) const {
  copy_to_device(device_.data(), host_[turn_].data(), (offsets(total_).table + table_entries_) * sizeof(std::int32_t),
                 stream);
}

cuda_batch cuda_step::batch() const {
  const offsets at(total_);
  const auto* words = device_.as<std::int32_t>();
  cuda_batch batch;
  batch.tokens = total_.tokens;
  batch.pass = device_.as<std::uint32_t>() + at.pass;
  batch.token_ids = words + at.tokens;
  batch.chosen = chosen();
  batch.positions = words + at.positions;
  batch.slots = words + at.slots;
  batch.single_sequences = total_.singles;
  batch.tiles = total_.tiles;
  batch.tile = reinterpret_cast<const attention_tile*>(words + at.tiles);
  batch.first_row = words + at.first_row;
  batch.rows = words + at.rows;
  batch.kv_tokens = words + at.kv_tokens;
  batch.table_start = words + at.table_start;
  batch.table = words + at.table;
  batch.sampled = total_.samples;
  batch.sampled_row = words + at.sampled_row;
  return batch;
}

}  // namespace troupe
