// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/audit.hpp"

#include <chrono>

#include <fmt/format.h>

namespace troupe::simulation {
namespace {

constexpr std::chrono::milliseconds patience{150};

caf::behavior auditor(caf::event_based_actor* self, const node_actor& node, std::shared_ptr<audit> books) {
  self->set_error_handler([](caf::scheduled_actor*, caf::error&) {});
  auto ignore = [](const caf::error&) {};
  self->request(node, patience, get_status{})
      .then(
          [=](const node_status& status) {
            ++books->nodes;
            books->live += status.router.live;
            for (const auto& group : status.view.groups) {
              ++books->asked;
              self->request(node, patience, get_group_statistics{group.name})
                  .then(
                      [=](const group_statistics& statistics) {
                        ++books->groups;
                        books->waiting += statistics.scheduler.waiting;
                        books->running += statistics.scheduler.running;
                        books->in_flight += statistics.scheduler.in_flight;
                        books->blocks_used += statistics.scheduler.blocks_used;
                      },
                      ignore);
            }
          },
          ignore);
  return {};
}

}  // namespace

std::string audit::describe(std::size_t nodes_all) const {
  if (nodes < nodes_all || groups < asked)
    return fmt::format("{} of {} nodes and {} of {} groups tell their state", nodes, nodes_all, groups, asked);
  if (live + waiting + running + in_flight + blocks_used == 0) return {};
  return fmt::format("routers hold {} requests; groups have {} waiting, {} running, {} steps and {} blocks in use",
                     live, waiting, running, in_flight, blocks_used);
}

void start_audit(process& home, const node_actor& node, const std::shared_ptr<audit>& books) {
  home.keep(home.system().spawn(auditor, node, books));
}

}  // namespace troupe::simulation
