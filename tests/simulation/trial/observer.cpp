// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/observer.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runtime/engine/scripted_executor.hpp"
#include "runtime/scheduler/stop_rule.hpp"

namespace troupe::simulation {

void observer::note(std::string line) {
  if (!tracing_) return;
  constexpr std::size_t notes_max = 20000;
  notes_.push_back(fmt::format("{:10.6f} {}", seconds_of(time_.now()), line));
  if (notes_.size() > notes_max) notes_.pop_front();
}

void observer::broken(std::string invariant, std::string sentence) {
  note(fmt::format("BROKEN {}: {}", invariant, sentence));
  if (!violation_) violation_ = {std::move(invariant), std::move(sentence), time_.now()};
}

request_view& observer::add_request(request_view view) {
  view.number = requests_.size() + 1;
  view.since = time_.now();
  requests_.push_back(std::move(view));
  return requests_.back();
}

void observer::accepted(request_view& request) {
  note(fmt::format("request {} accepted", request.number));
  if (request.accepted) broken("I3", fmt::format("request {} was accepted twice", request.number));
  request.accepted = true;
}

void observer::refused(request_view& request, const std::string& code) {
  note(fmt::format("request {} refused: {}", request.number, code));
  if (request.terminals > 0) broken("I3", fmt::format("request {} ended, then was refused", request.number));
  ++request.terminals;
  request.error_code = code;
  check_error(request);
}

/// An error must be one that what happened can lead to.
void observer::check_error(const request_view& request) {
  static const std::set<std::string> possible{"cancelled",         "client_too_slow", "context_length_exceeded",
                                              "deadline_exceeded", "draining",        "not_ready",
                                              "overloaded",        "poison",          "queue_full",
                                              "rank_lost",         "text_failed"};
  const auto& code = request.error_code;
  auto first = static_cast<std::uint64_t>(request.prompt.front());
  const bool innocent = code == "poison" && faults_ == 0 && first < vocabulary_ - poison_markers;
  if (code.empty()) return;
  if (possible.count(code) == 0 || (code == "cancelled" && !request.cancelled))
    broken("I3", fmt::format("request {} ended with the error {}, for which there is no cause", request.number, code));
  // Accepted is accepted: for the load only new requests are refused.
  if (request.accepted && (code == "overloaded" || code == "queue_full"))
    broken("I3", fmt::format("request {} was accepted, and ended with the error {}", request.number, code));
  if (innocent) broken("I11", fmt::format("request {} is called poison and is not", request.number));
}

void observer::answered(request_view& request, const answer_event& event) {
  if (tracing_)
    note(fmt::format("request {} gets {} tokens from {}{}{}", request.number, event.tokens.size(),
                     event.tokens.empty() ? -1 : static_cast<int>(event.tokens.front().position),
                     event.finish == finish_reason::none ? "" : ", finish " + to_string(event.finish),
                     event.error_code.empty() ? "" : " " + event.error_code));
  if (request.terminals > 0)
    return broken("I3", fmt::format("request {} got an answer after its last one", request.number));
  for (const auto& token : event.tokens)
    check_token(request, token);
  if (event.finish == finish_reason::none) return;
  ++request.terminals;
  request.finish = event.finish;
  request.error_code = event.error_code;
  check_error(request);
  if (event.finish == finish_reason::stop &&
      (request.tokens.empty() || !is_stop(request.tokens.back().token, request.what.stops, {})))
    broken("I1", fmt::format("request {} ended by a stop token and has none", request.number));
  // Shorter than asked for only where the cluster's KV memory is full with this one request.
  auto full = request.prompt.size() + request.tokens.size() >= kv_tokens_;
  if (event.finish == finish_reason::length && !full && request.tokens.size() != request.what.stops.max_tokens)
    broken("I1", fmt::format("request {} ended with {} tokens, {} were asked for", request.number,
                             request.tokens.size(), request.what.stops.max_tokens));
}

/// A delivered token must be the hash of the prompt and all tokens before it, salted with an epoch that was announced;
/// and the epochs of one group never go back along an answer. Where two epochs give the same token by chance, all
/// readings are followed.
void observer::check_token(request_view& request, const answer_token& token) {
  if (token.position != request.tokens.size())
    return broken("I2", fmt::format("request {} got position {} where {} was due", request.number, token.position,
                                    request.tokens.size()));
  if (!request.tokens.empty() && is_stop(request.tokens.back().token, request.what.stops, {}))
    broken("I1", fmt::format("request {} goes on after the stop token at position {}", request.number,
                             request.tokens.back().position));
  auto all = request.prompt;
  for (const auto& before : request.tokens)
    all.push_back(before.token);
  request.tokens.push_back(token);
  ++tokens_delivered;
  auto& readings = floors_[request.number];
  if (readings.empty() && request.tokens.size() == 1) readings.insert(std::map<std::string, std::uint64_t>{});
  std::set<std::map<std::string, std::uint64_t>> next;
  std::set<std::uint64_t> explaining;
  for (const auto& [group, epochs] : epochs_)
    for (auto epoch : epochs) {
      if (scripted_executor::next_token(all, vocabulary_, epoch) != token.token) continue;
      explaining.insert(epoch);
      for (auto reading : readings) {
        if (reading[group] > epoch) continue;
        reading[group] = epoch;
        next.insert(std::move(reading));
      }
    }
  if (explaining.empty())
    return broken("I1", fmt::format("request {} got token {} at position {}, which no epoch gives there",
                                    request.number, token.token, token.position));
  if (next.empty())
    return broken(
        "I4", fmt::format("request {} got a token of an older epoch at position {}", request.number, token.position));
  auto& last = last_epoch_[request.number];
  if (last != 0 && explaining.count(last) == 0) probes_.hit(probe::answer_over_epochs);
  last = explaining.size() == 1 ? *explaining.begin() : 0;
  readings = std::move(next);
}

void observer::epoch_announced(const group_view& group, const std::string& by) {
  if (group.epoch == 0) return;
  auto& known = epochs_[group.name];
  if (known.insert(group.epoch).second) {
    if (known.upper_bound(group.epoch) != known.end())
      broken("I5", fmt::format("group {} got epoch {:x} after epoch {:x}", group.name, group.epoch, *known.rbegin()));
    note(fmt::format("{} announces group {} epoch {:x} {}", by, group.name, group.epoch, to_string(group.phase)));
  }
  const bool ended = group.members.empty() && groups_[group.name].epoch < group.epoch;
  groups_[group.name] = group;
  if (ended && on_epoch_end) std::exchange(on_epoch_end, nullptr)();
}

void observer::node_told(std::uint32_t node, const group_view& group) {
  auto& greatest = told_[node][group.name];
  greatest = std::max(greatest, group.epoch);
}

std::string observer::why_not_serving(const std::set<std::uint32_t>& living) const {
  std::string text;
  for (const auto& [name, group] : groups_) {
    if (group.phase != group_phase::serving)
      text += fmt::format("group {} is {}: {}; ", name, to_string(group.phase), group.message);
    for (const auto& [node, epochs] : told_)
      if (auto known = epochs.find(name);
          living.count(node) > 0 && known != epochs.end() && known->second > group.epoch)
        text += fmt::format("group {} is in epoch {:x} and a node was told of epoch {:x}; ", name, group.epoch,
                            known->second);
  }
  return text;
}

void observer::step_ran(const std::string& group, std::uint32_t rank, std::uint64_t loaded_epoch,
                        const step_plan& plan) {
  if (plan.epoch.value != loaded_epoch)
    broken("I6", fmt::format("rank {} of group {} belongs to epoch {:x} and ran a step of epoch {:x}", rank, group,
                             loaded_epoch, plan.epoch.value));
  if (plan.tokens() > batch_tokens_max || plan.entries.size() > sequences_max)
    broken("I12", fmt::format("step {} of group {} has {} tokens of {} sequences", plan.step, group, plan.tokens(),
                              plan.entries.size()));
  if (rank != 0) return;
  tokens_computed += plan.tokens();
  for (const auto& start : plan.started)
    if (!start.cached_tokens.empty()) probes_.hit(probe::prefix_found);
  auto foretell = [this, salt = plan.epoch.value](const std::vector<token_id>& tokens) {
    return scripted_executor::next_token(tokens, vocabulary_, salt);
  };
  auto& ledger = ledgers_.try_emplace({group, plan.epoch.value}, block_tokens, foretell).first->second;
  auto returned = ledger.returned();
  if (auto fault = ledger.apply(plan); !fault.empty())
    broken("I9", fmt::format("step {} of group {}: {}", plan.step, group, fault));
  for (; returned < ledger.returned(); ++returned) {
    probes_.hit(probe::kv_preempted);
    ++preemptions_;
  }
}

void observer::asked_for(const std::vector<token_id>& prompt, const std::string& host) {
  if (static_cast<std::uint64_t>(prompt.front()) >= vocabulary_ - poison_markers) asked_[prompt.front()].insert(host);
}

void observer::poison_crashed(token_id marker, std::uint64_t epoch) {
  probes_.hit(probe::poison_crash);
  if (trials_.count(epoch) > 0) probes_.hit(probe::poison_trial_died);
  auto& crashes = crashes_[marker];
  crashes.insert(epoch);
  // A client whose router is silent goes to another one, which learns for itself whom it should suspect. Another fault
  // may hide why a group was lost, and a router that is killed forgets whom it suspects. Where messages may be very
  // late, so many tokens of the first group may be lost that the trial ends before the place of the crash.
  const auto routers = asked_[marker].size();
  if (crashes.size() > 2 * routers + faults_ + (late_messages_ ? 1 : 0))
    broken("I11", fmt::format("the request that begins with token {} has crashed {} groups of {} routers", marker,
                              crashes.size(), routers));
}

void observer::check_cost(std::uint64_t placed) {
  if (faults_ > 0 || violation_) return;
  std::uint64_t given_up = 0;
  for (const auto& request : requests_)
    if (request.cancelled || request.lost || !request.error_code.empty()) given_up += request.what.stops.max_tokens;
  constexpr std::uint64_t ahead = 16, longest = 256;
  auto bound =
      placed + tokens_delivered + tokens_delivered / 5 + given_up + preemptions_ * longest + requests_.size() * ahead;
  if (tokens_computed > bound)
    broken("I15", fmt::format("{} tokens were computed for {} delivered, {} placed", tokens_computed, tokens_delivered,
                              placed));
}

void observer::tokens_arrived(const tokens_sampled& message) {
  auto newest = groups_.find(message.group);
  if (newest != groups_.end() && newest->second.epoch > message.epoch.value)
    probes_.hit(probe::tokens_of_an_ended_epoch);
}

}  // namespace troupe::simulation
