// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "kernels/attention.hpp"
#include "kernels/cuda/attention.hpp"
#include "kernels/cuda/qk_rope_append.hpp"
#include "kernels/kv_write.hpp"
#include "kernels/qk_norm.hpp"
#include "kernels/rope.hpp"
#include "tests/gpu/device_array.hpp"
#include "tests/unit/kernels/random_values.hpp"

using namespace troupe;

namespace {

struct shape {
  std::size_t heads, kv_heads, head_size, block_tokens;
  std::size_t width() const { return (heads + 2 * kv_heads) * head_size; }
};

/// One sequence of a batch: what is in the cache before, and the rows that are fed.
struct member {
  std::size_t cached;
  std::size_t rows;
};

/// A batch run on both: projections in, attention out. Members of one row come first, as the decoder orders them; the
/// cached tokens are fed before, by the same kernels.
class comparison {
 public:
  comparison(const shape& s, std::vector<member> members)
      : s_(s), members_(std::move(members)), device_(0), cpu_(2, available_isas().back()) {
    std::size_t blocks = 0;
    for (const auto& m : members_) {
      std::vector<std::int32_t> table((m.cached + m.rows + s_.block_tokens - 1) / s_.block_tokens);
      std::iota(table.begin(), table.end(), static_cast<std::int32_t>(blocks));
      std::reverse(table.begin(), table.end());
      blocks += table.size();
      tables_.push_back(table);
    }
    blocks_ = blocks;
    q_norm_ = random_bf16s(s_.head_size, 1);
    k_norm_ = random_bf16s(s_.head_size, 2);
    for (std::size_t i = 0; i < s_.head_size / 2; ++i)
      frequencies_.push_back(std::pow(10000.0F, -2 * static_cast<float>(i) / static_cast<float>(s_.head_size)));
    cpu_cache_.assign(blocks_ * 2 * s_.kv_heads * s_.block_tokens * s_.head_size, 0);
    cuda_cache_.emplace(device_, std::vector<bf16>(cpu_cache_.size()));
  }

  /// The greatest difference of the fed rows' outputs.
  double run() {
    std::vector<member> before;
    for (const auto& m : members_)
      before.push_back({0, m.cached});
    feed(before);
    return feed(members_);
  }

 private:
  double feed(const std::vector<member>& members) {
    const auto rows = std::accumulate(members.begin(), members.end(), std::size_t{0},
                                      [](std::size_t sum, const member& m) { return sum + m.rows; });
    if (rows == 0) return 0;
    const auto qkv = random_bf16s(rows * s_.width(), 77 + static_cast<unsigned>(rows));
    return greatest_error(on_device(members, qkv), on_cpu(members, widened(qkv)));
  }

  std::vector<double> on_cpu(const std::vector<member>& members, const std::vector<float>& qkv) {
    const auto rows = qkv.size() / s_.width(), query_width = s_.heads * s_.head_size;
    const auto kv_width = s_.kv_heads * s_.head_size;
    std::vector<float> query, key, value, cosines, sines;
    std::vector<std::int64_t> slots;
    std::vector<attention_sequence> sequences;
    for (std::size_t r = 0; r < rows; ++r) {
      const auto* row = qkv.data() + r * s_.width();
      query.insert(query.end(), row, row + query_width);
      key.insert(key.end(), row + query_width, row + query_width + kv_width);
      value.insert(value.end(), row + query_width + kv_width, row + s_.width());
    }
    for (std::size_t i = 0, first = 0; i < members.size(); first += members[i++].rows) {
      const auto& m = members[i];
      if (m.rows == 0) continue;
      sequences.push_back({first, m.rows, m.cached, tables_[i]});
      for (auto p = m.cached; p < m.cached + m.rows; ++p) {
        slots.push_back(static_cast<std::int64_t>(slot(i, p)));
        for (auto f : frequencies_) {
          cosines.push_back(std::cos(static_cast<float>(p) * f));
          sines.push_back(std::sin(static_cast<float>(p) * f));
        }
      }
    }
    const execution on(cpu_);
    const tensor q(query.data(), rows, query_width), k(key.data(), rows, kv_width), v(value.data(), rows, kv_width);
    const const_tensor c(cosines.data(), rows, frequencies_.size()), sn(sines.data(), rows, frequencies_.size());
    qk_norm(on, q, const_tensor(q_norm_.data(), 1, s_.head_size), 1e-6F);
    qk_norm(on, k, const_tensor(k_norm_.data(), 1, s_.head_size), 1e-6F);
    rope(on, q, c, sn, s_.head_size);
    rope(on, k, c, sn, s_.head_size);
    const kv_layer cache{cpu_cache_.data(), dtype::f32, blocks_, s_.block_tokens, s_.kv_heads, s_.head_size};
    kv_write(on, k, v, slots, cache);
    std::vector<float> out(query.size());
    attention(on, q, sequences, cache, scale(), tensor(out.data(), rows, query_width));
    return {out.begin(), out.end()};
  }

  std::vector<float> on_device(const std::vector<member>& members, const std::vector<bf16>& qkv) {
    const auto rows = qkv.size() / s_.width();
    std::vector<std::int32_t> positions, slots, first_row, row_count, kv_tokens, table_start, table;
    std::vector<attention_tile> tiles;
    std::size_t singles = 0;
    std::vector<std::size_t> row_of(members.size());
    for (std::size_t i = 0, first = 0; i < members.size(); first += members[i++].rows) {
      row_of[i] = first;
      for (auto p = members[i].cached; p < members[i].cached + members[i].rows; ++p) {
        positions.push_back(static_cast<std::int32_t>(p));
        slots.push_back(static_cast<std::int32_t>(slot(i, p)));
      }
    }
    for (const bool single : {true, false})
      for (std::size_t i = 0; i < members.size(); ++i) {
        if (members[i].rows == 0 || (members[i].rows == 1) != single) continue;
        const auto group = s_.heads / s_.kv_heads;
        for (std::size_t t = 0; !single && t * prefill_tile_rows < members[i].rows * group; ++t)
          tiles.push_back({static_cast<std::int32_t>(first_row.size()), static_cast<std::int32_t>(t)});
        first_row.push_back(static_cast<std::int32_t>(row_of[i]));
        row_count.push_back(static_cast<std::int32_t>(members[i].rows));
        kv_tokens.push_back(static_cast<std::int32_t>(members[i].cached + members[i].rows));
        table_start.push_back(static_cast<std::int32_t>(table.size()));
        table.insert(table.end(), tables_[i].begin(), tables_[i].end());
        singles += single ? 1 : 0;
      }
    const auto there = [&](const auto& values) { return device_array(device_, values); };
    const auto qkv_there = there(qkv), q_norm = there(q_norm_), k_norm = there(k_norm_);
    const auto frequencies = there(frequencies_);
    constexpr std::size_t positions_max = 4096;
    const device_array<float> angles(device_, positions_max * s_.head_size);
    fill_rotation_angles_cuda(frequencies.get(), frequencies_.size(), positions_max, angles.get(), device_.stream());
    const head_rotation rotation{q_norm.get(), k_norm.get(), 1e-6F, angles.get()};
    const auto p = there(positions), sl = there(slots), fr = there(first_row), rc = there(row_count),
               kt = there(kv_tokens), ts = there(table_start), tb = there(table);
    const device_array<attention_tile> ti(device_, tiles);
    const device_array<bf16> out(device_, rows * s_.heads * s_.head_size);
    const paged_cache cache{cuda_cache_->get(), s_.kv_heads, s_.block_tokens, s_.head_size};
    qk_rope_append_cuda({qkv_there.get() + singles * s_.width(), rows - singles, s_.heads, rotation, p.get() + singles,
                         sl.get() + singles, cache},
                        device_.stream());
    const paged_attention_call call{qkv_there.get(), s_.width(), out.get(), s_.heads, cache,    scale(),
                                    fr.get(),        rc.get(),   kt.get(),  ts.get(), tb.get(), {}};
    const auto parts = decode_parts(singles, s_.kv_heads, device_.multiprocessors());
    const device_array<float> partial(device_, singles * s_.heads * parts * (s_.head_size + 1) + 1);
    const device_array<std::uint32_t> arrived(device_, std::vector<std::uint32_t>(singles * s_.kv_heads + 1));
    decode_attention_cuda(call, rotation, singles, parts, {partial.get(), arrived.get()}, device_.stream());
    prefill_attention_cuda(call, ti.get(), tiles.size(), device_.stream());
    const auto result = widened(out.read());
    CHECK(arrived.read() == std::vector<std::uint32_t>(singles * s_.kv_heads + 1));
    return result;
  }

  std::size_t slot(std::size_t sequence, std::size_t position) const {
    return static_cast<std::size_t>(tables_[sequence][position / s_.block_tokens]) * s_.block_tokens +
           position % s_.block_tokens;
  }
  float scale() const { return 1 / std::sqrt(static_cast<float>(s_.head_size)); }

  shape s_;
  std::vector<member> members_;
  cuda_device device_;
  cpu_device cpu_;
  std::size_t blocks_ = 0;
  std::vector<std::vector<std::int32_t>> tables_;
  std::vector<bf16> q_norm_, k_norm_;
  std::vector<float> frequencies_, cpu_cache_;
  std::optional<device_array<bf16>> cuda_cache_;
};

constexpr double tolerance = 2e-2;

}  // namespace

TEST_CASE("norm, rotation, cache and attention of one new token are the CPU's, for every grouping and length") {
  NEEDS_CUDA_DEVICE();
  const auto group = GENERATE(as<std::size_t>(), 1, 2, 4, 5, 7, 8, 16);
  const auto head_size = GENERATE(as<std::size_t>(), 64, 128);
  const auto cached = GENERATE(as<std::size_t>(), 0, 1, 15, 16, 63, 64, 500, 2047);
  INFO("group " << group << " head size " << head_size << " cached " << cached);
  CHECK(comparison({2 * group, 2, head_size, 16}, {{cached, 1}}).run() < tolerance);
}

TEST_CASE("attention of prompts and of their chunks is the CPU's, for every grouping") {
  NEEDS_CUDA_DEVICE();
  const auto group = GENERATE(as<std::size_t>(), 1, 2, 4, 5, 7, 8);
  const auto head_size = GENERATE(as<std::size_t>(), 64, 128);
  const auto lengths =
      GENERATE(member{0, 2}, member{0, 16}, member{0, 129}, member{0, 300}, member{100, 65}, member{513, 2});
  INFO("group " << group << " head size " << head_size << " cached " << lengths.cached << " fed " << lengths.rows);
  CHECK(comparison({2 * group, 2, head_size, 32}, {lengths}).run() < tolerance);
}

TEST_CASE("sequences of a mixed batch on the device do not touch each other") {
  NEEDS_CUDA_DEVICE();
  CHECK(comparison({8, 2, 128, 16}, {{40, 1}, {333, 1}, {0, 1}, {1000, 1}, {0, 70}, {20, 5}}).run() < tolerance);
}
