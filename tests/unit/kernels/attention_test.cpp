// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "kernels/kv_write.hpp"
#include "tests/unit/kernels/random_values.hpp"

using namespace troupe;

namespace {

/// One sequence with its queries, keys and values.
struct problem {
  std::size_t tokens, heads, kv_heads, head_size;
  std::vector<float> query, key, value;

  problem(std::size_t token_count, std::size_t head_count, std::size_t kv_head_count, std::size_t size, unsigned seed)
      : tokens(token_count),
        heads(head_count),
        kv_heads(kv_head_count),
        head_size(size),
        query(random_floats(tokens * heads * size, seed)),
        key(random_floats(tokens * kv_heads * size, seed + 1)),
        value(random_floats(tokens * kv_heads * size, seed + 2)) {}

  float scale() const { return 1 / std::sqrt(static_cast<float>(head_size)); }

  std::vector<double> naive() const {
    std::vector<double> out(query.size());
    for (std::size_t t = 0; t < tokens; ++t)
      for (std::size_t h = 0; h < heads; ++h)
        naive_row(t, h, out.data() + (t * heads + h) * head_size);
    return out;
  }

 private:
  void naive_row(std::size_t t, std::size_t h, double* out) const {
    const auto kv = h / (heads / kv_heads);
    std::vector<double> weights;
    for (std::size_t j = 0; j <= t; ++j) {
      double score = 0;
      for (std::size_t d = 0; d < head_size; ++d)
        score += double{query[(t * heads + h) * head_size + d]} * key[(j * kv_heads + kv) * head_size + d];
      weights.push_back(score * scale());
    }
    const auto greatest = *std::max_element(weights.begin(), weights.end());
    double sum = 0;
    for (auto& weight : weights)
      sum += weight = std::exp(weight - greatest);
    for (std::size_t j = 0; j <= t; ++j)
      for (std::size_t d = 0; d < head_size; ++d)
        out[d] += weights[j] / sum * value[(j * kv_heads + kv) * head_size + d];
  }
};

/// How a sequence lies in the cache and is cut into steps.
struct layout {
  std::size_t block_tokens;
  bool reversed_blocks;
  std::vector<std::size_t> chunks;  ///< of tokens; the last repeats
};

std::vector<float> run(const cpu_device& device, const problem& p, const layout& how, dtype type = dtype::f32) {
  kv_layer cache;
  cache.type = type;
  cache.block_tokens = how.block_tokens;
  cache.blocks = (p.tokens + how.block_tokens - 1) / how.block_tokens + 3;
  cache.heads = p.kv_heads;
  cache.head_size = p.head_size;
  // What lies in unused slots must not matter.
  std::vector<float> memory(cache.blocks * cache.block_elements(), 1e30F);
  cache.data = memory.data();
  std::vector<std::int32_t> blocks(cache.blocks);
  std::iota(blocks.begin(), blocks.end(), 0);
  if (how.reversed_blocks) std::reverse(blocks.begin(), blocks.end());
  std::vector<float> out(p.query.size());
  const execution on(device);
  const auto kv_width = p.kv_heads * p.head_size, width = p.heads * p.head_size;
  for (std::size_t first = 0, chunk = 0; first < p.tokens;) {
    const auto count = std::min(how.chunks[std::min(chunk++, how.chunks.size() - 1)], p.tokens - first);
    std::vector<std::int64_t> slots;
    for (auto t = first; t < first + count; ++t)
      slots.push_back(std::int64_t{blocks[t / how.block_tokens]} * static_cast<std::int64_t>(how.block_tokens) +
                      static_cast<std::int64_t>(t % how.block_tokens));
    kv_write(on, const_tensor(p.key.data() + first * kv_width, count, kv_width),
             const_tensor(p.value.data() + first * kv_width, count, kv_width), slots, cache);
    const attention_sequence sequence{0, count, first, blocks};
    attention(on, const_tensor(p.query.data() + first * width, count, width), {&sequence, 1}, cache, p.scale(),
              tensor(out.data() + first * width, count, width));
    first += count;
  }
  return out;
}

}  // namespace

TEST_CASE("attention is the naive one in double, for every grouping of heads and size of head") {
  FOR_EACH_ISA(device, 2);
  const auto group = GENERATE(as<std::size_t>(), 1, 2, 3, 5, 7, 8);
  const auto head_size = GENERATE(as<std::size_t>(), 16, 48, 64, 80, 128);
  INFO("group " << group << " head size " << head_size);
  const problem p(70, 2 * group, 2, head_size, 11);
  CHECK(greatest_error(run(device, p, {16, false, {70}}), p.naive()) < 2e-6);
}

TEST_CASE("attention over more than one piece of keys is the naive one") {
  FOR_EACH_ISA(device, 2);
  const problem p(700, 2, 1, 64, 5);
  CHECK(greatest_error(run(device, p, {32, false, {700}}), p.naive()) < 2e-6);
}

TEST_CASE("a token's attention is the same bits whatever the blocks, the chunks and the threads") {
  FOR_EACH_ISA(device, 1);
  const cpu_device three_threads(3, chosen_isa);
  const problem p(600, 6, 2, 64, 3);
  const auto expected = run(device, p, {16, false, {600}});
  for (const auto& how : {layout{16, true, {600}}, layout{32, true, {1}}, layout{64, false, {17, 1, 250, 3}},
                          layout{256, false, {5}}, layout{48, true, {100, 33}}}) {
    INFO("blocks of " << how.block_tokens << ", first chunk " << how.chunks[0]);
    CHECK(run(device, p, how) == expected);
    CHECK(run(three_threads, p, how) == expected);
  }
}

TEST_CASE("sequences of a mixed batch do not touch each other") {
  FOR_EACH_ISA(device, 2);
  const std::size_t width = 4 * 32, kv_width = 2 * 32;
  const problem long_one(40, 4, 2, 32, 1), short_one(9, 4, 2, 32, 9);
  kv_layer cache{nullptr, dtype::f32, 8, 16, 2, 32};
  std::vector<float> memory(cache.blocks * cache.block_elements());
  cache.data = memory.data();
  const std::vector<std::int32_t> long_blocks = {5, 0, 7}, short_blocks = {2};
  const auto slots = [](const std::vector<std::int32_t>& blocks, std::size_t count) {
    std::vector<std::int64_t> result;
    for (std::size_t t = 0; t < count; ++t)
      result.push_back(blocks[t / 16] * 16 + static_cast<std::int64_t>(t % 16));
    return result;
  };
  const execution on(device);
  kv_write(on, const_tensor(long_one.key.data(), 40, kv_width), const_tensor(long_one.value.data(), 40, kv_width),
           slots(long_blocks, 40), cache);
  kv_write(on, const_tensor(short_one.key.data(), 9, kv_width), const_tensor(short_one.value.data(), 9, kv_width),
           slots(short_blocks, 9), cache);
  // A decode row of the long one, then the short one's prompt.
  std::vector<float> query(long_one.query.end() - static_cast<std::ptrdiff_t>(width), long_one.query.end());
  query.insert(query.end(), short_one.query.begin(), short_one.query.end());
  const attention_sequence sequences[] = {{0, 1, 39, long_blocks}, {1, 9, 0, short_blocks}};
  std::vector<float> out(query.size());
  attention(on, const_tensor(query.data(), 10, width), sequences, cache, long_one.scale(),
            tensor(out.data(), 10, width));
  auto expected = run(device, long_one, {16, false, {40}});
  expected.erase(expected.begin(), expected.end() - static_cast<std::ptrdiff_t>(width));
  const auto second = run(device, short_one, {16, false, {9}});
  expected.insert(expected.end(), second.begin(), second.end());
  CHECK(out == expected);
}

TEST_CASE("a bfloat16 cache gives the naive result within its rounding") {
  FOR_EACH_ISA(device, 2);
  const problem p(100, 4, 2, 64, 21);
  CHECK(greatest_error(run(device, p, {16, false, {100}}, dtype::bf16), p.naive()) < 1e-2);
}

TEST_CASE("AVX2 and AVX-512 attend with the same bits") {
  if (find_cpu_kernels(isa::avx512) == nullptr || find_cpu_kernels(isa::avx2) == nullptr)
    SKIP("this machine has not both");
  const cpu_device narrow(1, isa::avx2), wide(1, isa::avx512);
  const problem p(300, 4, 2, 64, 2);
  CHECK(run(narrow, p, {16, false, {300}}) == run(wide, p, {16, false, {300}}));
}
