// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "topology/epoch_number.hpp"
#include "topology/membership.hpp"

namespace troupe {

placement_choice membership::choose(const group_view& view, const group_record& record) const {
  placement_choice choice;
  for (const auto& place : record.spec.ranks)
    choice.homes.push_back(offer_of(place, view));
  for (const auto& place : file_.spares)
    choice.spares.push_back(offer_of(place, view));
  choice.shape = options_.shape;
  choice.need = options_.need;
  return choice;
}

place_offer membership::offer_of(const rank_place& place, const group_view& group) const {
  place_offer offer{place, availability::absent, 0};
  const auto device = to_string(place.device);
  const auto* node = find_node(place.node);
  const auto* state = find_rank(place.node, device);
  if (!node || !state || node->state.draining || is_drained(place.node)) return offer;
  for (const auto& other : view_.groups)
    if (other.name != group.name && other.find_member(place.node, device)) return offer;
  offer.free_memory_bytes = state->free_memory_bytes;
  const auto* member = group.find_member(place.node, device);
  const bool own = member && member->incarnation == state->incarnation && member->boot == node->state.boot;
  if (state->phase == rank_phase::present || (own && state->phase <= rank_phase::started))
    offer.state = availability::present;
  else if (state->phase <= rank_phase::ended)
    offer.state = availability::coming;
  return offer;
}

std::string membership::describe_missing(const placement& chosen) const {
  std::string missing;
  for (const auto& place : chosen.missing) {
    std::string why;
    const auto* state = find_rank(place.node, to_string(place.device));
    if (auto refused = refusal(place.node); !refused.empty())
      why = ": " + refused;
    else if (is_drained(place.node))
      why = ": node " + place.node + " is drained";
    else if (state && state->phase >= rank_phase::failed && !state->message.empty())
      why = ": " + state->message;
    missing += fmt::format("{}{}{}", missing.empty() ? "" : ", ", to_string(place), why);
  }
  return missing;
}

/// A missing place is started again by itself before long.
bool membership::will_start(const placement& chosen) const {
  return std::any_of(chosen.missing.begin(), chosen.missing.end(), [this](const rank_place& place) {
    const auto* state = find_rank(place.node, to_string(place.device));
    return state && state->phase == rank_phase::delayed;
  });
}

std::string membership::unequal_memory(const placement& chosen) const {
  std::size_t least = 0, most = 0;
  std::vector<const rank_state*> states;
  for (const auto& place : chosen.places)
    states.push_back(find_rank(place.node, to_string(place.device)));
  for (std::size_t rank = 0; rank < states.size(); ++rank) {
    if (states[rank]->free_memory_bytes < states[least]->free_memory_bytes) least = rank;
    if (states[rank]->free_memory_bytes > states[most]->free_memory_bytes) most = rank;
  }
  auto spread = states[most]->free_memory_bytes - states[least]->free_memory_bytes;
  if (spread <= file_.engine.free_memory_spread_bytes) return {};
  constexpr double mib = 1024.0 * 1024.0;
  return fmt::format(
      "free memory differs by {:.0f} MiB between rank {} ({:.0f} MiB) and rank {} ({:.0f} MiB), more than the "
      "free_memory_spread of {:.0f} MiB; end what uses memory on {} or raise the bound",
      static_cast<double>(spread) / mib, least, static_cast<double>(states[least]->free_memory_bytes) / mib, most,
      static_cast<double>(states[most]->free_memory_bytes) / mib,
      static_cast<double>(file_.engine.free_memory_spread_bytes) / mib, chosen.places[least].node);
}

/// The ranks of the greatest epoch that any rank of the group is in, by rank; failed ones that still run among them.
std::vector<membership::former_member> membership::find_former(const std::string& group) const {
  std::vector<former_member> found;
  for (const auto& [name, node] : nodes_) {
    if (!node.refusal.empty()) continue;
    for (const auto& state : node.state.ranks) {
      if (state.group != group || state.epoch == 0 || state.phase > rank_phase::failed) continue;
      if (!found.empty() && state.epoch < found.front().rank->epoch) continue;
      if (!found.empty() && state.epoch > found.front().rank->epoch) found.clear();
      found.push_back({&node, &state});
    }
  }
  std::sort(found.begin(), found.end(), [](auto& a, auto& b) { return a.rank->rank < b.rank->rank; });
  return found;
}

bool membership::is_whole(const std::vector<former_member>& found) const {
  const auto& any = *found.front().rank;
  bool whole = found.size() == std::uint64_t{any.tensor} * any.pipeline;
  for (std::size_t rank = 0; rank < found.size(); ++rank)
    whole = whole && found[rank].rank->rank == rank && found[rank].rank->phase == rank_phase::started;
  return whole;
}

/// A node that is not heard of may have ranks in an epoch that nobody here knows, until what the topology actor before
/// this one granted to it is over; unless all places of the group are on a node that is heard of.
bool membership::may_run_unheard(const group_spec& spec, const std::vector<former_member>& found,
                                 time_point now) const {
  if (found.empty() ? first_ : is_only_on(found.front().node->state.node, spec)) return false;
  return now < lease_over({}) && std::any_of(file_.nodes.begin(), file_.nodes.end(),
                                             [this](const auto& node) { return find_node(node.name) == nullptr; });
}

/// A group that served before this topology actor goes on in its epoch if that is the last one anybody may be in: no
/// node was told of a later one, and none that is not heard of holds a lease. Otherwise, or when it does not become
/// whole, a greater epoch ends what is left of it. True while the group has to wait, or goes on.
bool membership::adopt(group_view& view, group_record& record, time_point now) {
  if (view.epoch != 0) return false;
  const auto found = find_former(view.name);
  if (may_run_unheard(record.spec, found, now)) {
    view.message = "waiting for nodes that are not heard of, or the end of their leases";
    return true;
  }
  if (found.empty()) return false;
  const auto epoch = found.front().rank->epoch;
  const bool over = heard_of(view.name).epoch > epoch;
  const auto failed =
      std::find_if(found.begin(), found.end(), [](const auto& x) { return x.rank->phase == rank_phase::failed; });
  if (!over && is_whole(found)) {
    take_up(view, record, found, now);
    return true;
  }
  if (!over && failed == found.end() && now - record.since <= options_.adoption_grace) {
    view.message = "waiting for the other ranks of epoch " + epoch_text(epoch);
    return true;
  }
  if (generation_wanted() != 0) return false;  // and gather says what it waits for
  record.served = true;
  view.epoch = epoch;
  ending why{true, false, loss_cause::unreachable,
             fmt::format("not all ranks of epoch {} are left", epoch_text(epoch))};
  if (over) why.message = fmt::format("epoch {} was over before", epoch_text(epoch));
  if (failed != found.end()) {
    why.cause = std::max(failed->rank->cause, loss_cause::crashed);
    why.message = fmt::format("rank {} failed: {}", failed->rank->rank, failed->rank->message);
  }
  end_epoch(view, record, std::move(why), now);
  for (const auto& [node, state] : found)
    record.old.push_back({{state->rank, node->state.node, state->device, node->state.boot, state->incarnation, 0, {}},
                          epoch,
                          lease_over(node->state.node)});
  return true;
}

void membership::take_up(group_view& view, group_record& record, const std::vector<former_member>& found,
                         time_point now) {
  const auto& any = *found.front().rank;
  view.epoch = any.epoch;
  view.tensor = any.tensor;
  view.pipeline = any.pipeline;
  view.full = any.tensor == record.spec.tensor && any.pipeline == record.spec.pipeline;
  view.members.clear();
  for (const auto& [node, state] : found)
    view.members.push_back({state->rank, node->state.node, state->device, node->state.boot, state->incarnation,
                            state->process, state->door});
  finish_start(view, record, now);
}

/// True when no member of an ended epoch can do anything any more.
bool membership::await_old_members(group_view& view, group_record& record, time_point now) {
  if (record.old.empty()) return true;
  std::string waited;
  for (const auto& old : record.old) {
    if (is_gone(old, now)) continue;
    waited += fmt::format("{}{}/{} of epoch {}", waited.empty() ? "" : ", ", old.member.node, old.member.device,
                          epoch_text(old.epoch));
  }
  if (!waited.empty()) {
    record.waited = true;
    view.message = "waiting for the end, or the end of the lease, of " + waited;
    return false;
  }
  auto by_lease = std::any_of(record.old.begin(), record.old.end(), [&](auto old) {
    old.lease_over = time_point::max();
    return !is_gone(old, now);
  });
  ++(by_lease ? view_.counts.lease_waits : view_.counts.lease_waits_skipped);
  record.old.clear();
  return true;
}

/// True when only that node may ever have ranks of the group.
bool membership::is_only_on(const std::string& node, const group_spec& spec) const {
  auto here = [&node](const rank_place& place) { return place.node == node; };
  return std::all_of(spec.ranks.begin(), spec.ranks.end(), here) &&
         std::all_of(file_.spares.begin(), file_.spares.end(), here);
}

/// A group of a smaller shape goes back to the full one when that has been possible for a while.
void membership::grow(group_view& view, group_record& record, time_point now) {
  if (view.full) return;
  auto chosen = place_group(record.spec, choose(view, record));
  if (!chosen.missing.empty()) {
    record.full_since.reset();
    return;
  }
  if (!record.full_since) record.full_since = now;
  if (now - *record.full_since < options_.grow_wait || generation_wanted() != 0) return;
  ++view_.counts.growths;
  end_epoch(view, record, {true, false, loss_cause::none, "its places are back: it takes its full shape"}, now);
}

}  // namespace troupe
