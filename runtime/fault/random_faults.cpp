// SPDX-License-Identifier: Apache-2.0
#include "runtime/fault/random_faults.hpp"

#include <array>
#include <random>

namespace troupe {
namespace {

/// Below `bound`. The standard's distributions differ between libraries; its engines do not.
std::uint64_t below(std::mt19937_64& random, std::uint64_t bound) { return random() % bound; }

}  // namespace

std::vector<fault> random_faults(std::uint64_t seed, std::size_t count, const std::vector<faulty_group>& groups) {
  constexpr std::array kinds{fault_kind::kill, fault_kind::kill, fault_kind::freeze,
                             fault_kind::slow, fault_kind::drop, fault_kind::hang};
  std::mt19937_64 random{seed};
  std::vector<fault> all;
  if (groups.empty()) return all;
  while (all.size() < count) {
    fault x;
    const auto& [group, ranks] = groups[below(random, groups.size())];
    x.kind = kinds[below(random, kinds.size())];
    x.target.group = group;
    x.target.rank = static_cast<std::uint32_t>(below(random, ranks == 0 ? 1 : ranks));
    x.after_tokens = below(random, 2) * below(random, 50);
    if (x.kind != fault_kind::kill) x.for_ms = 50 + below(random, 3000);
    if (x.kind == fault_kind::slow) x.factor = 2 + static_cast<double>(below(random, 9));
    all.push_back(x);
  }
  return all;
}

}  // namespace troupe
