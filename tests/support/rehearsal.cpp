// SPDX-License-Identifier: Apache-2.0
#include "tests/support/rehearsal.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace troupe::test {

rehearsal::rehearsal(scheduler_options options)
    : options_(options),
      scheduler_(options),
      rank_({.epoch = options.epoch,
             .blocks = options.blocks,
             .block_tokens = options.block_tokens,
             .vocabulary = vocabulary,
             .max_sequences = options.max_sequences,
             .max_batch_tokens = options.max_batch_tokens}) {}

admission rehearsal::enqueue(generation_request request, const entry_terms& terms) {
  auto answer = scheduler_.enqueue(request, terms);
  const auto id = request.id;
  if (answer.accepted()) performances_[id] = {.request = std::move(request), .output = {}, .steps = {}};
  return answer;
}

abort_result rehearsal::abort(request_id request) {
  const auto result = scheduler_.abort(request);
  if (result != abort_result::ended) return result;
  performances_.at(request).finish = finish_reason::abort;
  ++performances_.at(request).endings;
  return result;
}

const step_plan* rehearsal::plan() {
  last_plan_ = scheduler_.plan();
  if (!last_plan_) return nullptr;
  results_.push_back(rank_.run(*last_plan_));
  return &*last_plan_;
}

bool rehearsal::complete(std::uint64_t took_us) {
  if (results_.empty()) return false;
  const auto result = std::move(results_.front());
  results_.pop_front();
  const auto outcome = scheduler_.complete(result, took_us);
  rank_.completed(result.step);
  for (const auto& update : outcome.updates) {
    auto& seen = performances_.at(update.request);
    if (seen.endings > 0) throw plan_error(fmt::format("request {} goes on after its end", update.request.value));
    for (const auto& token : update.tokens) {
      if (token.position != seen.request.tokens.size() + seen.output.size())
        throw plan_error(fmt::format("request {} gets position {} after {} tokens", update.request.value,
                                     token.position, seen.request.tokens.size() + seen.output.size()));
      seen.output.push_back(token.token);
      seen.steps.push_back(result.step);
    }
    seen.finish = update.finish;
    seen.endings += update.finish == finish_reason::none ? 0 : 1;
  }
  return true;
}

bool rehearsal::step() {
  bool planned = false;
  while (plan() != nullptr)
    planned = true;
  return complete() || planned;
}

void rehearsal::run_until_idle() {
  while (step()) {
  }
}

bool rehearsal::ends(const generation_request& request, token_id token) const {
  const auto is = [token](const auto& ids) { return std::find(ids.begin(), ids.end(), token) != ids.end(); };
  return is(request.stops.stop_ids) || (!request.stops.ignore_eos && is(options_.eos_ids));
}

std::vector<token_id> rehearsal::sequential(const generation_request& request) const {
  auto all = request.tokens;
  const auto room = std::uint64_t{options_.blocks} * options_.block_tokens;
  while (all.size() < options_.context_length && all.size() <= room &&
         all.size() - request.prompt_tokens < request.stops.max_tokens) {
    all.push_back(plan_checker::next_token(all, request.prompt_tokens, request.sampling, vocabulary));
    if (ends(request, all.back())) break;
  }
  return {all.begin() + static_cast<std::ptrdiff_t>(request.tokens.size()), all.end()};
}

generation_request ask(std::uint64_t id, std::vector<token_id> prompt, std::uint32_t max_tokens) {
  generation_request request;
  request.id = request_id{id};
  request.prompt_tokens = static_cast<std::uint32_t>(prompt.size());
  request.tokens = std::move(prompt);
  request.stops.max_tokens = max_tokens;
  return request;
}

std::vector<token_id> prompt_of(std::size_t count, std::uint32_t salt) {
  std::vector<token_id> tokens(count, static_cast<token_id>(salt));
  for (std::size_t i = 1; i < count; ++i)
    tokens[i] = static_cast<token_id>(i * (salt + 7) % rehearsal::vocabulary);
  return tokens;
}

scheduler_options small_options() {
  scheduler_options options;
  options.epoch = epoch{1};
  options.blocks = 64;
  options.block_tokens = 4;
  options.context_length = 256;
  options.max_sequences = 8;
  options.max_batch_tokens = 64;
  options.max_queue = 16;
  return options;
}

}  // namespace troupe::test
