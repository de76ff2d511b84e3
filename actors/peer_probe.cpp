// SPDX-License-Identifier: Apache-2.0
#include "actors/peer_probe.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "actors/tcp_reach.hpp"

namespace troupe {
namespace {

constexpr std::size_t small_bytes = 64;
constexpr std::uint32_t parcels_in_flight = 4;  // enough to fill a link, and bounded

std::uint64_t microseconds(std::chrono::steady_clock::duration x) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(x).count());
}

}  // namespace

peer_probe::peer_probe(peer_probe_actor::impl* self, peer_probe_options options)
    : self_(self), options_(std::move(options)) {}

peer_probe_actor::behavior_type peer_probe::make_behavior() {
  self_->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  return {[this](const probe_node& message) { return on_probe(message); }};
}

caf::result<probe_report> peer_probe::on_probe(const probe_node& message) {
  order_ = message;
  order_.rounds = std::clamp(order_.rounds, 1U, probe_rounds_max);
  order_.parcels = std::min(order_.parcels, probe_parcels_max);
  order_.parcel_bytes = std::clamp(order_.parcel_bytes, 1U, probe_bytes_max);
  report_.from = options_.from;
  report_.to = message.node;
  myself_ = caf::actor_cast<peer_probe_actor>(self_);
  promise_ = self_->make_response_promise<probe_report>();
  auto promise = promise_;
  if (auto problem = tcp_problem(options_.door, options_.timeout); !problem.empty())
    finish(fmt::format("{}:{} does not answer ({}); is the node running, and is its port open to {}?",
                       options_.door.host, options_.door.port, problem, options_.from));
  else
    reach();
  return promise;
}

void peer_probe::reach() {
  connect<node_actor>(
      self_, options_.network, options_.door, options_.timeout,
      [this](node_actor peer) {
        peer_ = std::move(peer);
        report_.reached = true;
        next_round();
      },
      [this](const caf::error& reason) {
        finish(
            fmt::format("{}:{} is open and no node of this cluster answers there ({}); give both nodes TLS files of "
                        "one authority, or neither, and the same version of Troupe",
                        options_.door.host, options_.door.port, to_string(reason)));
      });
}

void peer_probe::next_round() {
  if (round_trips_us_.size() == order_.rounds) {
    begin_ = clock::now();
    if (order_.parcels == 0) return finish();
    for (std::uint32_t i = 0; i < std::min(order_.parcels, parcels_in_flight); ++i)
      send_parcel();
    return;
  }
  begin_ = clock::now();
  self_->request(peer_, options_.timeout, echo{std::string(small_bytes, 'x')})
      .then(
          [this](echoed& answer) {
            round_trips_us_.push_back(microseconds(clock::now() - begin_));
            answer.payload.clear();
            report_.peer = std::move(answer);
            next_round();
          },
          [this](const caf::error& reason) {
            finish(fmt::format("small message {} was not answered within {} ms ({})", round_trips_us_.size() + 1,
                               options_.timeout.count(), to_string(reason)));
          });
}

void peer_probe::send_parcel() {
  ++parcels_sent_;
  self_->request(peer_, options_.timeout, echo{std::string(order_.parcel_bytes, 'x')})
      .then([this](const echoed&) { on_parcel(); },
            [this](const caf::error& reason) {
              finish(fmt::format("parcel {} of {} bytes was not answered within {} ms ({})", parcels_back_ + 1,
                                 order_.parcel_bytes, options_.timeout.count(), to_string(reason)));
            });
}

void peer_probe::on_parcel() {
  report_.bytes += 2 * std::uint64_t{order_.parcel_bytes};
  if (++parcels_back_ == order_.parcels) {
    report_.bytes_us = microseconds(clock::now() - begin_);
    finish();
  } else if (parcels_sent_ < order_.parcels) {
    send_parcel();
  }
}

void peer_probe::finish(std::string problem) {
  if (!promise_.pending()) return;
  if (!problem.empty()) report_.reached = false;
  report_.problem = std::move(problem);
  std::sort(round_trips_us_.begin(), round_trips_us_.end());
  report_.rounds = static_cast<std::uint32_t>(round_trips_us_.size());
  if (!round_trips_us_.empty()) {
    report_.round_trip_p50_us = round_trips_us_[round_trips_us_.size() / 2];
    report_.round_trip_p99_us = round_trips_us_[round_trips_us_.size() * 99 / 100];
  }
  promise_.deliver(std::move(report_));
  myself_ = nullptr;
  self_->quit();
}

}  // namespace troupe
