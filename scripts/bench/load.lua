-- What wrk sends: KIND ROWS [PAUSE]. Every thread draws from its own sequence of random numbers.
local kind, rows, pause
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(args)
  kind, rows, pause = args[1], tonumber(args[2]), tonumber(args[3])
  math.randomseed(number * 7919)
  wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN")
  if pause then
    function delay() return pause end
  end
end

function request()
  local row = math.random(rows)
  if kind == "id" then
    return wrk.format("GET", "/api/v1/customers/" .. row)
  elseif kind == "account" then
    return wrk.format("GET", string.format("/api/v1/customerAccounts/cl%06d", row))
  elseif kind == "create" then
    return wrk.format("POST", "/api/v1/customers?name=Soci%C3%A9t%C3%A9%20" .. row ..
      "&mainAddressLine1=12%20rue%20de%20la%20Paix&mainAddressCity=Paris&registrationNumber=832104175")
  end
  return wrk.format("GET", "/")
end

-- One line that a program reads: requests, microseconds, failures, p50 and p99 in microseconds.
function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("BENCH %d %d %d %d %d\n", summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99)))
end
