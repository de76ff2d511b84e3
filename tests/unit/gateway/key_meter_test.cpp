// SPDX-License-Identifier: Apache-2.0
#include "apps/gateway/key_meter.hpp"

#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

const token_bucket::time_point start{1h};

}  // namespace

TEST_CASE("a bucket gives a minute's amount at once, then evenly, and never more than a minute's") {
  token_bucket bucket{60};
  for (int i = 0; i < 60; ++i) {
    REQUIRE(bucket.wait_for(1, start) == 0ms);
    bucket.take(1, start);
  }
  CHECK(bucket.wait_for(1, start) == 1000ms);
  CHECK(bucket.wait_for(2, start) == 2000ms);
  CHECK(bucket.wait_for(1, start + 400ms) == 600ms);
  CHECK(bucket.wait_for(1, start + 1s) == 0ms);
  CHECK(bucket.wait_for(61, start + 1h) == 0ms);
  bucket.take(60, start + 1h);
  CHECK(bucket.wait_for(1, start + 1h) == 1000ms);
}

TEST_CASE("a debt is made good before anything more is given") {
  token_bucket bucket{60};
  bucket.take(180, start);
  CHECK(bucket.wait_for(1, start) == 121s);
  CHECK(bucket.wait_for(1, start + 121s) == 0ms);
}

TEST_CASE("time that goes back gives nothing") {
  token_bucket bucket{60};
  bucket.take(60, start);
  bucket.take(0, start - 30s);
  CHECK(bucket.wait_for(1, start) == 1000ms);
}

TEST_CASE("a key without limits is never refused") {
  key_meter meter{{}};
  for (int i = 0; i < 10'000; ++i)
    REQUIRE_FALSE(meter.begin(start));
}

TEST_CASE("each limit of a key is named when it is reached, with the time to come back") {
  SECTION("requests a minute") {
    key_meter meter{{.requests_per_minute = 2}};
    for (int i = 0; i < 2; ++i) {
      REQUIRE_FALSE(meter.begin(start));
      meter.end(1'000'000, start);
    }
    const auto refused = meter.begin(start);
    REQUIRE(refused);
    CHECK(refused->code == "rate_limit_exceeded");
    CHECK(refused->retry_after_s == 30);
    CHECK_THAT(refused->message, ContainsSubstring("2 requests a minute") && ContainsSubstring("again in 30 s"));
    CHECK_FALSE(meter.begin(start + 30s));
  }
  SECTION("tokens a minute, counted at the end") {
    key_meter meter{{.tokens_per_minute = 600}};
    REQUIRE_FALSE(meter.begin(start));
    REQUIRE_FALSE(meter.begin(start));
    meter.end(500, start);
    meter.end(400, start);
    const auto refused = meter.begin(start);
    REQUIRE(refused);
    CHECK(refused->retry_after_s == 31);  // 300 of debt and one
    CHECK_THAT(refused->message, ContainsSubstring("600 tokens a minute"));
    CHECK_FALSE(meter.begin(start + 31s));
  }
  SECTION("requests at a time") {
    key_meter meter{{.concurrent = 2}};
    REQUIRE_FALSE(meter.begin(start));
    REQUIRE_FALSE(meter.begin(start));
    const auto refused = meter.begin(start);
    REQUIRE(refused);
    CHECK(refused->retry_after_s == 1);
    CHECK_THAT(refused->message, ContainsSubstring("2 requests under way"));
    meter.end(0, start);
    CHECK_FALSE(meter.begin(start));
  }
}

TEST_CASE("a request that one limit refuses counts for none") {
  key_meter meter{{.requests_per_minute = 2, .concurrent = 1}};
  REQUIRE_FALSE(meter.begin(start));
  for (int i = 0; i < 5; ++i)
    REQUIRE(meter.begin(start));
  meter.end(0, start);
  CHECK_FALSE(meter.begin(start));
}
