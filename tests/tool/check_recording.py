#!/usr/bin/env python3
"""Checks what `faultline report` has written.

    check_recording.py places REPORT.json       the functions of recorded_program.c have their patterns and shares
    check_recording.py function REPORT.json F   one of the two places that lost most time is in the function F
    check_recording.py events EVENTS.json       the file follows the trace-event format
    check_recording.py flame GRAPH.svg          the file is XML; calls are as wide together as the call around them
"""

import json
import sys
import xml.etree.ElementTree

JUMPS = 8000


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def check(holds, what):
    if not holds:
        sys.exit(f"it does not hold that {what}")


def places_of(report):
    """Returns the sums over all places of each function."""
    functions = {}
    for place in report["places"]:
        known = functions.setdefault(place["function"], {"hard": 0, "faults": 0, "time": 0, "places": []})
        known["hard"] += place["faults"]["hard"]
        known["faults"] += sum(place["faults"].values())
        known["time"] += place["time_share"]
        known["places"].append(place)
    return functions


def check_places(report):
    functions = places_of(report)
    expected = {
        "walk_in_order": "sequential, comes back",
        "jump_often": "random, comes back",
        "jump_seldom": "random, comes back",
        "touch_once": "sequential, touched once",
    }
    for function, pattern in expected.items():
        check(function in functions, f"{function} is in the report")
        hottest = functions[function]["places"][0]
        check(hottest["pattern"] == pattern, f"{function} is '{pattern}': {hottest}")
        check(hottest["file"].endswith("recorded_program.c") and hottest["line"] > 0, f"{function} has a line")
    # Each jump faults, unless its page is in the third of the memory that is resident.
    often, seldom = functions["jump_often"]["hard"], functions["jump_seldom"]["hard"]
    check(0.45 * JUMPS < often + seldom < 1.02 * JUMPS, f"{often} and {seldom} faults are near {JUMPS} jumps")
    check(2.4 < often / seldom < 3.75, f"{often} are three times {seldom}")
    check(functions["touch_once"]["hard"] < 20, "what is touched once is never read again")
    shares = sum(place["time_share"] for place in report["places"])
    check(0.97 < shares < 1.03, f"all shares of time add up: {shares}")
    faults = sum(sum(place["faults"].values()) for place in report["places"])
    exact = sum(report["faults"].values())
    check(abs(faults - exact) < 0.03 * exact + 5, f"{faults} faults of places are about {exact}")
    limit = report["processes"][0]["resident_limit"]
    more = functions["jump_often"]["places"][0]["bytes_more"]
    check(0 < more < (24 + 24 + 8) << 20, f"{more} bytes more than {limit} are enough for the jumps")


def check_function(report, function):
    """How much time it takes beside others depends on the machine; that it faults hundreds of times does not."""
    faults = places_of(report).get(function, {"faults": 0})["faults"]
    check(faults >= 50, f"{function} faulted often: {faults} times")


def check_events(trace):
    check(trace["displayTimeUnit"] in ("ns", "ms"), "the unit is one of the format's")
    events = trace["traceEvents"]
    slices, named, ends = 0, set(), {}
    for event in events:
        check(event["ph"] in ("M", "X", "C"), f"the phase is known: {event}")
        check(isinstance(event["name"], str) and event["name"], f"the event has a name: {event}")
        check(isinstance(event["pid"], int), f"the event has a process: {event}")
        if event["ph"] == "M":
            check(event["name"] in ("process_name", "thread_name"), f"the metadata is known: {event}")
            check(isinstance(event["args"]["name"], str), f"the metadata has a name: {event}")
            named.add((event["pid"], event["tid"]))
            continue
        check(isinstance(event["ts"], (int, float)) and event["ts"] >= 0, f"the event has a time: {event}")
        if event["ph"] == "C":
            check(all(isinstance(value, (int, float)) for value in event["args"].values()), f"it counts: {event}")
            continue
        slices += 1
        check(isinstance(event["tid"], int) and (event["pid"], event["tid"]) in named, f"its track has a name: {event}")
        check(isinstance(event["dur"], (int, float)) and event["dur"] >= 0, f"the slice has a duration: {event}")
        track = (event["pid"], event["tid"])
        # Slices of a track nest or follow each other; faults of a thread follow each other.
        check(event["ts"] >= ends.get(track, 0) - 0.5, f"slices of a track do not overlap: {event}")
        ends[track] = event["ts"] + event["dur"]
    check(slices > 0, "there are slices")


def check_flame(path):
    root = xml.etree.ElementTree.parse(path).getroot()
    space = "{http://www.w3.org/2000/svg}"
    check(root.tag == space + "svg", "the file is an SVG")
    rectangles = []
    for group in root.iter(space + "g"):
        rectangle, title = group.find(space + "rect"), group.find(space + "title")
        check(rectangle is not None and title is not None and title.text, "each call has a tooltip")
        x, y, width = (float(rectangle.get(name)) for name in ("x", "y", "width"))
        rectangles.append((y, x, width))
        text = group.find(space + "text")
        check(text is None or len(text.text) * 6 <= width, f"a name fits its call: {text is not None and text.text}")
    rows = sorted({y for y, _, _ in rectangles}, reverse=True)
    check(len(rows) >= 3, "there are rows for all, a function, and a kind of fault")
    for lower, upper in zip(rows, rows[1:]):
        for y, x, width in [r for r in rectangles if r[0] == upper]:
            inside = [r for r in rectangles if r[0] == lower and r[1] - 0.01 <= x and x + width <= r[1] + r[2] + 0.01]
            check(len(inside) == 1, f"a call is above the call around it: {x} {y} {width}")
        for _, x, width in [r for r in rectangles if r[0] == lower]:
            above = sum(r[2] for r in rectangles if r[0] == upper and x - 0.01 <= r[1] and r[1] + r[2] <= x + width + 0.01)
            check(above <= width + 0.05, f"calls are not wider than the call around them: {above} {width}")
    bottom = [r for r in rectangles if r[0] == rows[0]]
    check(len(bottom) == 1 and abs(bottom[0][2] - 1200) < 0.01, "the lowest call is as wide as the graph")
    kinds = ("first touch", "hard fault", "soft fault", "first write", "wait")
    leaves = 0.0
    for group in root.iter(space + "g"):
        if group.find(space + "title").text.startswith(kinds):
            leaves += float(group.find(space + "rect").get("width"))
    check(leaves > 0.97 * 1200, f"the widths of the faults add up to the graph's: {leaves}")


def main():
    what, path = sys.argv[1:3]
    if what == "places":
        check_places(load(path))
    elif what == "function":
        check_function(load(path), sys.argv[3])
    elif what == "events":
        check_events(load(path))
    else:
        check_flame(path)


main()
