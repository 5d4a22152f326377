# Included by ctest: registers the cases of a program as tests, one for each name. All variants of a parameterised case
# run in one process, because starting a process takes longer than most of them.
#
# Needs program, folder, filter (of gtest: the cases), and timeout (seconds).

if(NOT EXISTS ${program})
    return()  # the nightly cases report it
endif()
execute_process(COMMAND ${program} --gtest_list_tests --gtest_filter=${filter}
                OUTPUT_VARIABLE listing RESULT_VARIABLE result TIMEOUT 60)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${program} cannot list its cases: ${result}\n${listing}")
endif()

# Lines of suites are not indented and end with a point, lines of cases are indented.
string(REGEX REPLACE " *#[^\n]*" "" listing "${listing}")  # values of parameters
string(REPLACE "\n" ";" lines "${listing}")
set(groups "")
foreach(line IN LISTS lines)
    if(line MATCHES "^  ([^/]+)(/?)")
        set(group "${suite}.${CMAKE_MATCH_1}")
        if(CMAKE_MATCH_2)
            string(APPEND group "/*")
        endif()
        list(APPEND groups "${group}")
    elseif(line MATCHES "^([^ ]+)\\.$")
        set(suite "${CMAKE_MATCH_1}")
    endif()
endforeach()
list(REMOVE_DUPLICATES groups)

foreach(group IN LISTS groups)
    string(REGEX REPLACE "/\\*$" "" name "${folder}.${group}")
    add_test("${name}" ${program} "--gtest_filter=${group}${filter}")
    set_tests_properties("${name}" PROPERTIES LABELS ${folder} TIMEOUT ${timeout})
endforeach()
