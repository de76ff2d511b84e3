// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "runtime/scheduler/scheduler.hpp"
#include "tests/support/plan_checker.hpp"

namespace troupe::test {

/// What a client would have seen of a request.
struct performance {
  generation_request request;
  std::vector<token_id> output;      ///< generated here, without what the request brought along
  std::vector<std::uint64_t> steps;  ///< the step that gave each of them
  finish_reason finish = finish_reason::none;
  std::uint32_t endings = 0;  ///< must become 1
};

/// A scheduler with one checking rank, and the results that are on their way between them.
class rehearsal {
 public:
  static constexpr std::uint32_t vocabulary = 61;

  explicit rehearsal(scheduler_options options);

  admission enqueue(generation_request request, const entry_terms& terms = {});
  abort_result abort(request_id request);

  /// Plans one step and runs it on the rank; the result waits for complete(). Null when there is no plan.
  const step_plan* plan();

  /// Delivers the oldest result, of a step that took so long. False when there is none.
  bool complete(std::uint64_t took_us = 0);

  /// Plans as much as may be in flight, then completes one. False when there was nothing to do.
  bool step();

  void run_until_idle();

  /// The tokens the request must get, made one after the other without any scheduling.
  std::vector<token_id> sequential(const generation_request& request) const;

  const performance& of(request_id request) const { return performances_.at(request); }
  const std::map<request_id, performance>& performances() const { return performances_; }
  scheduler& subject() { return scheduler_; }
  scheduler_stats stats() const { return scheduler_.stats(); }
  const std::deque<step_result>& results() const { return results_; }

 private:
  bool ends(const generation_request& request, token_id token) const;

  scheduler_options options_;
  scheduler scheduler_;
  plan_checker rank_;
  std::optional<step_plan> last_plan_;
  std::deque<step_result> results_;
  std::map<request_id, performance> performances_;
};

/// A request for `max_tokens` tokens after `prompt`.
generation_request ask(std::uint64_t id, std::vector<token_id> prompt, std::uint32_t max_tokens);

/// `count` tokens that nothing made with another `salt` begins with.
std::vector<token_id> prompt_of(std::size_t count, std::uint32_t salt);

/// 64 blocks of 4 tokens, 8 sequences, 64 tokens a step, no EOS id.
scheduler_options small_options();

}  // namespace troupe::test
