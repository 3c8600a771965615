-- What wrk sends: FILE ROWS [PAUSE]. A line of FILE is a request, METHOD and path, or several with tabs
-- between them that are sent one after the other. Lines are drawn at random; in them {row} stands for a
-- customer, {account} for an account, and {number} for eight digits, drawn anew for each line. Every
-- thread draws from its own sequence.
local lines, rows, pause = {}, nil, nil
local following, position = {}, 0
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(args)
  for line in io.lines(args[1]) do
    local requests = {}
    for method, path in line:gmatch("(%u+) ([^\t]+)") do
      requests[#requests + 1] = { method = method, path = path, varies = path:find("{") ~= nil }
    end
    lines[#lines + 1] = requests
  end
  rows, pause = tonumber(args[2]), tonumber(args[3])
  math.randomseed(number * 7919)
  wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_TOKEN")
  if pause then
    function delay() return pause end
  end
end

local drawn = {}

function request()
  position = position + 1
  if position > #following then
    following, position = lines[math.random(#lines)], 1
    local row = math.random(rows)
    drawn.row, drawn.account = row, string.format("cl%06d", row)
    drawn.number = math.random(10000000, 99999999)
  end
  local request = following[position]
  local path = request.path
  if request.varies then path = path:gsub("{(%l+)}", drawn) end
  return wrk.format(request.method, path)
end

-- One line that a program reads: requests, microseconds, failures, p50 and p99 in microseconds.
function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("BENCH %d %d %d %d %d\n", summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99)))
end
