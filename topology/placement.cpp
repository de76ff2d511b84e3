// SPDX-License-Identifier: Apache-2.0
#include "topology/placement.hpp"

#include <algorithm>

namespace troupe {
namespace {

/// Takes a spare out of the list: one of the home's node first.
const place_offer* take_spare(const place_offer& home, std::vector<const place_offer*>& spares) {
  auto same_kind = [&](const place_offer* x) { return x && x->place.device.kind == home.place.device.kind; };
  auto same_node = [&](const place_offer* x) { return same_kind(x) && x->place.node == home.place.node; };
  auto found = std::find_if(spares.begin(), spares.end(), same_node);
  if (found == spares.end()) found = std::find_if(spares.begin(), spares.end(), same_kind);
  if (found == spares.end()) return nullptr;
  const auto* spare = *found;
  spares.erase(found);
  return spare;
}

bool is_legal(const group_spec& group, const placement_choice& choice, std::uint32_t tensor, std::uint32_t pipeline,
              std::uint64_t free_memory_bytes) {
  if (choice.shape.layers == 0) return false;
  if (group.mode == group_mode::replicated && tensor != 1) return false;
  if (!find_split_error(choice.shape, tensor, pipeline).empty()) return false;
  return !choice.need || choice.need(tensor, pipeline) <= free_memory_bytes;
}

/// The split of `ranks` that a group would have chosen itself: its own tensor degree, else the greatest.
std::uint32_t pick_tensor(const group_spec& group, const placement_choice& choice, std::uint32_t ranks,
                          std::uint64_t free_memory_bytes) {
  auto fits = [&](std::uint32_t tensor) {
    return ranks % tensor == 0 && is_legal(group, choice, tensor, ranks / tensor, free_memory_bytes);
  };
  if (group.tensor <= ranks && fits(group.tensor)) return group.tensor;
  for (auto tensor = ranks; tensor > 0; --tensor)
    if (fits(tensor)) return tensor;
  return 0;
}

void shrink(const group_spec& group, const placement_choice& choice, placement& out) {
  std::vector<const place_offer*> there;
  for (const auto* offers : {&choice.homes, &choice.spares})
    for (const auto& offer : *offers)
      if (offer.state == availability::present && offer.place.device.kind == group.ranks.front().device.kind)
        there.push_back(&offer);
  const auto homes =
      static_cast<std::size_t>(std::count_if(choice.homes.begin(), choice.homes.end(), [](const place_offer& home) {
        return home.state == availability::present;
      }));
  for (auto ranks = std::min(there.size(), group.ranks.size() - 1); ranks > 0; --ranks) {
    auto least = std::min_element(there.begin(), there.begin() + static_cast<std::ptrdiff_t>(ranks),
                                  [](auto* a, auto* b) { return a->free_memory_bytes < b->free_memory_bytes; });
    auto count = static_cast<std::uint32_t>(ranks);
    auto tensor = pick_tensor(group, choice, count, (*least)->free_memory_bytes);
    if (tensor == 0) continue;
    out.tensor = tensor;
    out.pipeline = count / tensor;
    out.spares_used = static_cast<std::uint32_t>(ranks - std::min(ranks, homes));
    for (std::size_t i = 0; i < ranks; ++i)
      out.places.push_back(there[i]->place);
    return;
  }
}

}  // namespace

placement place_group(const group_spec& group, const placement_choice& choice) {
  std::vector<const place_offer*> spares;
  for (const auto& spare : choice.spares)
    if (spare.state == availability::present) spares.push_back(&spare);
  placement out;
  bool coming = false;
  std::vector<rank_place> places;
  for (const auto& home : choice.homes) {
    auto may_replace = home.state == availability::coming ? choice.spares_for_coming : choice.spares_for_absent;
    const place_offer* taken = home.state == availability::present ? &home : nullptr;
    if (!taken && may_replace) taken = take_spare(home, spares);
    if (!taken) {
      out.missing.push_back(home.place);
      coming = coming || home.state == availability::coming;
      continue;
    }
    if (taken != &home) ++out.spares_used;
    places.push_back(taken->place);
  }
  out.hopeless = !out.missing.empty() && !coming;
  if (out.missing.empty()) {
    out.tensor = group.tensor;
    out.pipeline = group.pipeline;
    out.places = std::move(places);
    return out;
  }
  out.spares_used = 0;
  if (choice.shrink) shrink(group, choice, out);
  return out;
}

}  // namespace troupe
