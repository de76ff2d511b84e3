// SPDX-License-Identifier: Apache-2.0
// Tests say what went wrong themselves; the product's log is for those who set TROUPE_TEST_LOG.
#include <cstdlib>

#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
#include <spdlog/spdlog.h>

namespace {

class quiet_log : public Catch::EventListenerBase {
 public:
  using Catch::EventListenerBase::EventListenerBase;
  void testRunStarting(const Catch::TestRunInfo&) override {
    if (std::getenv("TROUPE_TEST_LOG") == nullptr) spdlog::set_level(spdlog::level::off);
  }
};

}  // namespace

CATCH_REGISTER_LISTENER(quiet_log)
