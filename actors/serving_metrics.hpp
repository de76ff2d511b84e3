// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <caf/telemetry/metric_registry.hpp>

#include "actors/protocol.hpp"

namespace troupe {

/// What a node tells Prometheus: how long its HTTP requests took, what its router did, and how the groups stand that it
/// leads. The figures live in the registry of the actor system, beside CAF's own. Used by one actor; the registry may
/// be read by others at the same time.
class serving_metrics {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// How far one request has come.
  struct progress {
    time_point begun;
    std::optional<time_point> last;  ///< when its latest tokens came
  };

  explicit serving_metrics(caf::telemetry::metric_registry& registry);

  /// A piece of an answer has come; the last one has a finish reason, with the usage.
  void note(progress& of, const answer_event& event, time_point now);
  /// A request was not taken.
  void refuse(const std::string& code);

  /// What the node and its router say now.
  void show(const node_status& status);
  /// What the leader of a group says now.
  void show(const std::string& group, const group_statistics& statistics);

 private:
  /// A count that somebody else keeps, and that begins anew when they do.
  void raise(const std::string& name, const std::string& help, const std::string& group, std::uint64_t value);
  void set(const std::string& name, const std::string& help, const std::string& group, double value);

  caf::telemetry::metric_registry& registry_;
  caf::telemetry::dbl_histogram* first_token_;
  caf::telemetry::dbl_histogram* between_tokens_;
  caf::telemetry::dbl_histogram* whole_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> known_;  ///< by name and group
};

/// All figures of a registry in Prometheus' text format.
std::string prometheus_text(const caf::telemetry::metric_registry& registry);

}  // namespace troupe
