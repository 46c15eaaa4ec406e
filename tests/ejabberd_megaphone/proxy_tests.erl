%%% PROXY headers at the head of a session, against HAProxy's proxy-protocol.txt.
-module(proxy_tests).

-include_lib("proper/include/proper.hrl").
-include_lib("eunit/include/eunit.hrl").
-include("ejabberd_megaphone.hrl").
-import(ejabberd_megaphone_proxy, [parse/1, client/2]).

-define(SIGNATURE, "\r\n\r\n\0\r\nQUIT\n").

version_1_over_ipv4_test() ->
    ?assertEqual({ok, {{{198, 51, 100, 1}, 5222}, {{192, 0, 2, 7}, 51234}}, <<"<a/>">>},
                 parse(<<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 5222\r\n<a/>">>)).

version_1_over_ipv6_test() ->
    ?assertEqual({ok, {{{0, 0, 0, 0, 0, 0, 0, 1}, 5222}, {{16#2001, 16#db8, 0, 0, 0, 0, 0, 7}, 1}}, <<>>},
                 parse(<<"PROXY TCP6 2001:db8::7 ::1 1 5222\r\n">>)).

an_unknown_client_is_no_error_test_() ->
    [?_assertEqual({ok, unknown, <<"x">>}, parse(Data))
     || Data <- [<<"PROXY UNKNOWN\r\nx">>,
                 <<"PROXY UNKNOWN ffff:f::f ffff::f 65535 65535\r\nx">>,
                 <<?SIGNATURE, 16#20, 0, 0, 0, "x">>,                % LOCAL
                 <<?SIGNATURE, 16#21, 0, 0, 0, "x">>,                % UNSPEC
                 <<?SIGNATURE, 16#21, 16#31, 0, 3, "abc", "x">>]].   % a Unix socket

version_2_over_ipv4_test() ->
    ?assertEqual({ok, {{{198, 51, 100, 1}, 5222}, {{192, 0, 2, 7}, 51234}}, <<"rest">>},
                 parse(<<?SIGNATURE, 16#21, 16#11, 12:16, 192, 0, 2, 7, 198, 51, 100, 1, 51234:16, 5222:16, "rest">>)).

fields_of_version_2_are_skipped_test() ->
    ?assertEqual({ok, {{{198, 51, 100, 1}, 5222}, {{192, 0, 2, 7}, 51234}}, <<"rest">>},
                 parse(<<?SIGNATURE, 16#21, 16#11, 16:16, 192, 0, 2, 7, 198, 51, 100, 1, 51234:16, 5222:16,
                         4, 0, 1, 0, "rest">>)).

the_fields_of_version_2_tell_the_transport_test_() ->
    Tls = <<16#20, 15:16, 1, 1:32, 16#21, 7:16, "TLSv1.3">>,
    Header = fun(Family, Addresses, Fields) ->
                     <<?SIGNATURE, 16#21, Family, (byte_size(Addresses) + byte_size(Fields)):16, Addresses/binary, Fields/binary, "rest">>
             end,
    V4 = <<0:96>>,
    WebSocket = <<16#E0, 1:16, 1>>,
    [?_assertEqual(tls, ejabberd_megaphone_proxy:transport(Data))
     || Data <- [Header(16#11, V4, Tls),
                 Header(16#11, V4, <<1, 11:16, "xmpp-client", 2, 3:16, "a.b", Tls/binary>>),
                 Header(16#11, V4, <<16#E0, 1:16, 0, Tls/binary>>),
                 Header(16#21, <<0:288>>, Tls)]]
    ++ [?_assertEqual(Expected, ejabberd_megaphone_proxy:transport(Data))
        || {Expected, Data} <- [{ws, Header(16#11, V4, WebSocket)},
                                {wss, Header(16#11, V4, <<WebSocket/binary, Tls/binary>>)},
                                {wss, Header(16#21, <<0:288>>, <<Tls/binary, 4, 1:16, 0, WebSocket/binary>>)}]]
    ++ [?_assertEqual(tcp, ejabberd_megaphone_proxy:transport(Data))
        || Data <- [Header(16#11, V4, <<>>),
                    Header(16#11, V4, <<16#20, 5:16, 0, 1:32>>),             % no PP2_CLIENT_SSL
                    Header(16#11, V4, <<16#20, 99:16, 1>>),                  % cut short
                    Header(16#11, V4, <<16#E0, 1:16, 2>>),                   % no such kind
                    Header(16#11, V4, <<16#E0, 2:16, 1, 1>>),                % not one byte
                    Header(16#11, V4, <<2, 18:16, Tls/binary>>),             % a host name of these bytes
                    <<?SIGNATURE, 16#20, 16#11, 18:16, Tls/binary>>,         % LOCAL
                    <<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 5222\r\n">>,
                    <<"<stream:stream>">>, <<>>]].

what_ties_a_login_to_the_clients_tls_is_told_with_tls_over_tcp_alone_test_() ->
    Addresses = <<0:96>>,
    Tls = <<16#20, 5:16, 1, 0:32>>,
    Bindings = <<16#E1, 32:16, 1:256, 16#E2, 48:16, 2:384, 16#E3, 12:16, 3:96>>,
    Header = fun(Fields) ->
                     <<?SIGNATURE, 16#21, 16#11, (byte_size(Addresses) + byte_size(Fields)):16, Addresses/binary, Fields/binary, "rest">>
             end,
    [?_assertEqual({ok, #client{addresses = {{{0, 0, 0, 0}, 0}, {{0, 0, 0, 0}, 0}}, transport = Transport, bindings = Expected}, <<"rest">>},
                   client(Header(Fields), required))
     || {Transport, Expected, Fields} <-
            [{tls, #{<<"tls-exporter">> => <<1:256>>, <<"tls-server-end-point">> => <<2:384>>, <<"tls-unique">> => <<3:96>>},
              <<Tls/binary, Bindings/binary>>},
             {tls, #{<<"tls-unique">> => <<3:96>>}, <<16#E3, 12:16, 3:96, Tls/binary>>},
             {tls, #{}, <<Tls/binary, 16#E1, 0:16>>},                                  % nothing to bind to
             {tls, #{}, <<Tls/binary, 16#E1, 32:16, 1:248>>},                          % cut short
             {tls, #{}, Tls},
             {tcp, #{}, Bindings},
             {wss, #{}, <<16#E0, 1:16, 1, Tls/binary, Bindings/binary>>}]].

%% They live as long as the login, and what has arrived with them may be a thousand times as long.
channel_bindings_are_copies_test() ->
    Binding = <<1:256>>,
    Data = <<?SIGNATURE, 16#21, 16#11, 55:16, 0:96, 16#20, 5:16, 1, 0:32, 16#E1, 32:16, Binding/binary, 0:80000>>,
    #{<<"tls-exporter">> := Copy} = ejabberd_megaphone_proxy:bindings(Data),
    ?assertEqual(Binding, Copy),
    %% Erlang/OTP 27 tells bits of a binary as short as this.
    ?assert(binary:referenced_byte_size(Copy) =< bit_size(Binding)).

version_2_over_ipv6_test() ->
    ?assertEqual({ok, {{{0, 0, 0, 0, 0, 0, 0, 1}, 5222}, {{16#2001, 16#db8, 0, 0, 0, 0, 0, 7}, 1}}, <<>>},
                 parse(<<?SIGNATURE, 16#21, 16#21, 36:16, 16#20010db8:32, 0:64, 7:32, 1:128, 1:16, 5222:16>>)).

a_malformed_header_is_an_error_test_() ->
    [?_assertMatch({error, _}, parse(Data))
     || Data <- [<<"PROXY ">>,
                 <<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 5222">>,
                 <<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 65536\r\n">>,
                 <<"PROXY TCP4 192.0.2 198.51.100.1 1 1\r\n">>,
                 <<"PROXY TCP6 192.0.2.7 198.51.100.1 1 1\r\n">>,
                 <<"PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n">>,
                 <<"PROXY TCP9 192.0.2.7 198.51.100.1 1 1\r\n">>,
                 <<"PROXY TCP4 192.0.2.7 198.51.100.1 +1 1\r\n">>,
                 <<"PROXY TCP4 192.0.2.7 198.51.100.1 1 -0\r\n">>,
                 <<"PROXY TCP4 192.0.2.7 198.51.100.1 01 1\r\n">>,
                 <<"PROXY TCP4 +92.0.2.7 198.51.100.1 1 1\r\n">>,
                 <<"PROXY TCP6 fe80::7%1 ::1 1 1\r\n">>,
                 <<"PROXY ", (binary:copy(<<"x">>, 200))/binary, "\r\n">>,
                 <<?SIGNATURE>>,
                 <<?SIGNATURE, 16#11, 16#11, 0:16>>,                 % version 1 in binary
                 <<?SIGNATURE, 16#22, 16#11, 0:16>>,                 % no such command
                 <<?SIGNATURE, 16#21, 16#11, 11:16, 0:88>>,
                 <<?SIGNATURE, 16#21, 16#11, 12:16, 0:88>>]].

a_stream_header_is_no_proxy_header_test() ->
    ?assertEqual(none, parse(<<"<stream:stream to='localhost'>">>)).

%% Each kind of first packet, with proxy_header required, optional and forbidden.
a_header_is_accepted_or_refused_as_the_listener_is_configured_test_() ->
    V1 = <<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 5222\r\n">>,
    V2 = <<?SIGNATURE, 16#21, 16#11, 12:16, 192, 0, 2, 7, 198, 51, 100, 1, 51234:16, 5222:16>>,
    V2Tls = <<?SIGNATURE, 16#21, 16#11, 30:16, 192, 0, 2, 7, 198, 51, 100, 1, 51234:16, 5222:16, 16#20, 15:16, 1, 0:32, 16#21, 7:16, "TLSv1.3">>,
    Client = {{{198, 51, 100, 1}, 5222}, {{192, 0, 2, 7}, 51234}},
    [{lists:flatten(io_lib:format("~0p ~0p", [Policy, Head])),
      case Expected of
          refused -> ?_assertMatch({error, _}, client(<<Head/binary, "<a/>">>, Policy));
          {Who, Transport} ->
              ?_assertEqual({ok, #client{addresses = Who, transport = Transport}, <<"<a/>">>}, client(<<Head/binary, "<a/>">>, Policy))
      end}
     || {Head, Required, Optional, Forbidden} <-
            [{<<>>, refused, {unknown, tcp}, {unknown, tcp}},
             {V1, {Client, tcp}, {Client, tcp}, refused},
             {V2, {Client, tcp}, {Client, tcp}, refused},
             {V2Tls, {Client, tls}, {Client, tls}, refused},
             %% These do not name the client.
             {<<"PROXY UNKNOWN\r\n">>, refused, {unknown, tcp}, refused},
             {<<?SIGNATURE, 16#20, 0, 0, 0>>, refused, {unknown, tcp}, refused},
             {<<?SIGNATURE, 16#21, 16#31, 0, 0>>, refused, {unknown, tcp}, refused},
             %% These are malformed.
             {<<"PROXY TCP4 here there 1 2\r\n">>, refused, refused, refused},
             {<<"PROXY ">>, refused, refused, refused},
             {<<?SIGNATURE, 16#31, 16#11, 0, 0>>, refused, refused, refused}],
        {Policy, Expected} <- [{required, Required}, {optional, Optional}, {forbidden, Forbidden}]].

bytes_that_are_not_utf_8_are_no_address_test() ->
    [?assert(is_answer(parse(Data)))
     || Whole <- [<<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 5222\r\n">>, <<"PROXY TCP6 2001:db8::7 ::1 1 5222\r\n">>],
        Data <- hostile:spoilt(Whole)].

no_bytes_raise_an_exception_test_() ->
    Parts = [<<"PROXY ">>, <<"TCP4 ">>, <<"TCP6 ">>, <<"UNKNOWN">>, <<"1.2.3.4 ">>, <<"::1 ">>, <<"1 ">>, <<"65536">>, <<"-1">>, <<"\r\n">>,
             <<?SIGNATURE>>, <<16#21>>, <<16#11>>, <<0, 12>>],
    [property:test(?FORALL({Head, Tail, Policy}, {oneof([<<>> | Parts]), Kind, oneof([required, optional, forbidden])},
                           begin
                               Data = <<Head/binary, Tail/binary>>,
                               is_answer(parse(Data)) andalso lists:member(element(1, client(Data, Policy)), [ok, error])
                           end), 2000)
     || Kind <- [binary(), hostile:bytes(Parts)]].

%% What is read of version 1 is what the line says: written again as the specification has it, it reads the same.
a_line_that_is_accepted_is_written_as_the_specification_has_it_test_() ->
    Form = "^PROXY (TCP4( (0|[1-9][0-9]{0,2})([.](0|[1-9][0-9]{0,2})){3}){2}|TCP6( [0-9A-Fa-f:]+(([.]?[0-9]+){4})?){2})( (0|[1-9][0-9]{0,4})){2}\r\n",
    Parts = [<<"PROXY TCP4 ">>, <<"PROXY TCP6 ">>, <<"1.2.3.4">>, <<"::1">>, <<"fe80::">>, <<" ">>, <<"0">>, <<"65535">>, <<"+">>, <<"-">>,
             <<"%">>, <<".">>, <<":">>, <<"x">>, <<"\r\n">>],
    Whole = [<<"PROXY TCP4 192.0.2.7 198.51.100.1 51234 5222\r\n">>, <<"PROXY TCP6 2001:db8::7 ::192.0.2.1 1 0\r\n">>],
    %% A part stands anywhere in the line, instead of a few of its bytes.
    Line = ?LET({Head, Part, At, Length}, {oneof(Whole), oneof(Parts), range(0, 45), range(0, 5)},
                begin
                    Cut = min(At, byte_size(Head)),
                    <<Before:Cut/binary, Behind/binary>> = Head,
                    After = binary:part(Behind, min(Length, byte_size(Behind)), max(0, byte_size(Behind) - Length)),
                    <<Before/binary, Part/binary, After/binary>>
                end),
    property:test(?FORALL(Data, Line,
                          case parse(Data) of
                              {ok, {{_, P}, {_, Q}}, _} -> P =< 65535 andalso Q =< 65535 andalso re:run(Data, Form, [{capture, none}]) =:= match;
                              Other -> is_answer(Other)
                          end), 5000).

is_answer(none) -> true;
is_answer({ok, _, Rest}) -> is_binary(Rest);
is_answer({error, Why}) -> is_list(Why).
