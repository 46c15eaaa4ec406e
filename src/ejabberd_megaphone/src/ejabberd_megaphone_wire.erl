%%% @doc The wire format: packets and their headers (section 1 of the link protocol). No processes, no I/O.
%%%
%%% ```
%%% LLLLLLLLLL|CCCCCCCCCCCCCCCCCCCC|content
%%% 0         10                   31
%%% '''
%%% `L': length of the whole packet in bytes, including these 32; `C': connection id; both decimal, padded with zeros.
-module(ejabberd_megaphone_wire).

-export([parse/2, packets/3, whole_piece/3, whole_packets/2, describe/4]).
-export_type([id/0, fault/0]).

-define(HEADER, 32).
-define(LENGTH_END, 10).
-define(ID_END, 31).
-define(MAX_ID, 16#FFFFFFFFFFFFFFFF).
-define(IS_DIGIT(Byte), Byte >= $0, Byte =< $9).

-type id() :: 0..?MAX_ID.
-type fault() :: length_digit | length_below_header | length_above_limit | length_separator
               | id_digit | id_too_large | id_separator.

%% @doc Takes the first packet off `Data', without copying. Each check of the header is made at the first byte at which its result is
%% known, so that the fault and its place are the same however the bytes were cut on their way.
%%
%% `{more, Bytes}': the packet is incomplete. It cannot be complete before there are that many bytes of it; but an incomplete header is
%% worth checking with each byte. `{malformed, At, Fault}': byte `At' (from 0) is the first that cannot be right.
-spec parse(Data :: binary(), MaxPacket :: pos_integer()) ->
          {packet, id(), Content :: binary(), Rest :: binary()}
        | {more, pos_integer()}
        | {malformed, 0..31, fault()}.
parse(Data, MaxPacket) ->
    parse_length(Data, 0, 0, Data, MaxPacket).

parse_length(<<Byte, Rest/binary>>, At, Length, Data, Max) when At < ?LENGTH_END, ?IS_DIGIT(Byte) ->
    parse_length(Rest, At + 1, Length * 10 + Byte - $0, Data, Max);
parse_length(_Rest, ?LENGTH_END, Length, _Data, _Max) when Length < ?HEADER ->
    {malformed, ?LENGTH_END - 1, length_below_header};
parse_length(_Rest, ?LENGTH_END, Length, _Data, Max) when Length > Max ->
    {malformed, ?LENGTH_END - 1, length_above_limit};
parse_length(<<$|, Rest/binary>>, ?LENGTH_END, Length, Data, _Max) ->
    parse_id(Rest, ?LENGTH_END + 1, 0, Length, Data);
parse_length(<<>>, _At, _Length, _Data, _Max) ->
    {more, ?HEADER};
parse_length(_Rest, ?LENGTH_END, _Length, _Data, _Max) ->
    {malformed, ?LENGTH_END, length_separator};
parse_length(_Rest, At, _Length, _Data, _Max) ->
    {malformed, At, length_digit}.

parse_id(<<Byte, Rest/binary>>, At, Id, Length, Data) when At < ?ID_END, ?IS_DIGIT(Byte) ->
    parse_id(Rest, At + 1, Id * 10 + Byte - $0, Length, Data);
parse_id(_Rest, ?ID_END, Id, _Length, _Data) when Id > ?MAX_ID ->
    {malformed, ?ID_END - 1, id_too_large};
parse_id(<<$|, _/binary>>, ?ID_END, Id, Length, Data) ->
    Size = Length - ?HEADER,
    case Data of
        <<_:?HEADER/binary, Content:Size/binary, Rest/binary>> -> {packet, Id, Content, Rest};
        _ -> {more, Length}
    end;
parse_id(<<>>, _At, _Id, _Length, _Data) ->
    {more, ?HEADER};
parse_id(_Rest, ?ID_END, _Id, _Length, _Data) ->
    {malformed, ?ID_END, id_separator};
parse_id(_Rest, At, _Id, _Length, _Data) ->
    {malformed, At, id_digit}.

%% @doc The packets that carry `Content' on `Id', and their length including headers: one packet, or several if it would be longer than
%% `MaxPacket'. Empty content is one empty packet.
-spec packets(id(), Content :: iodata(), MaxPacket :: pos_integer()) -> {Bytes :: pos_integer(), iodata()}.
packets(Id, Content, MaxPacket) ->
    case iolist_size(Content) + ?HEADER of
        Length when Length =< MaxPacket -> {Length, [header(Length, Id), Content]};
        _ -> pieces(Id, iolist_to_binary(Content), MaxPacket, 0, [])
    end.

pieces(Id, Content, MaxPacket, Bytes, Before) when byte_size(Content) + ?HEADER =< MaxPacket ->
    Length = byte_size(Content) + ?HEADER,
    {Bytes + Length, lists:reverse(Before, [header(Length, Id), Content])};
pieces(Id, Content, MaxPacket, Bytes, Before) ->
    Size = MaxPacket - ?HEADER,
    <<Piece:Size/binary, Rest/binary>> = Content,
    pieces(Id, Rest, MaxPacket, Bytes + MaxPacket, [Piece, header(MaxPacket, Id) | Before]).

header(Length, Id) ->
    [padded(integer_to_binary(Length), ?LENGTH_END), $|, padded(integer_to_binary(Id), 20), $|].

padded(Digits, Width) ->
    [binary:part(<<"00000000000000000000">>, 0, Width - byte_size(Digits)), Digits].

%% @doc The packets that carry `Content', which is whole pieces of a server's stream, to an ECM that is promised such (section 9): a packet of
%% exactly `MaxPacket' bytes goes on in the next one, and if the content ends there, that is a space.
-spec whole_piece(id(), Content :: iodata(), MaxPacket :: pos_integer()) -> {Bytes :: pos_integer(), iodata()}.
whole_piece(Id, Content, MaxPacket) ->
    {Bytes, Packets} = packets(Id, Content, MaxPacket),
    case Bytes rem MaxPacket of
        0 ->
            {More, Space} = packets(Id, <<$\s>>, MaxPacket),
            {Bytes + More, [Packets | Space]};
        _ ->
            {Bytes, Packets}
    end.

%% @doc How many bytes of `Packets', which begin with a packet, are whole packets that are at most `Max' bytes together.
-spec whole_packets(Packets :: binary(), Max :: non_neg_integer()) -> Bytes :: non_neg_integer().
whole_packets(Packets, Max) -> whole_packets(Packets, 0, Max).

whole_packets(Packets, Bytes, Max) ->
    case Packets of
        <<_:Bytes/binary, Digits:?LENGTH_END/binary, _/binary>> ->
            case Bytes + binary_to_integer(Digits) of
                Longer when Longer > Max -> Bytes;
                Next -> whole_packets(Packets, Next, Max)
            end;
        _ ->
            Bytes
    end.

%% @doc One line for the log about a malformed header: what is wrong, where in the bytes of the connection, and what would be right.
%% `Data' begins with that header, `Offset' is its place.
-spec describe(fault(), At :: 0..31, Offset :: non_neg_integer(), {Data :: binary(), MaxPacket :: pos_integer()}) -> iolist().
describe(Fault, At, Offset, {Data, MaxPacket}) ->
    Header = binary:part(Data, 0, At + 1),
    io_lib:format("malformed packet header at offset ~b, wrong at offset ~b: ~s; received \"~s\"",
                  [Offset, Offset + At, explain(Fault, MaxPacket), escape(Header)]).

explain(length_digit, _) -> "the first 10 bytes must be decimal digits, the length";
explain(length_below_header, _) -> "the length must be at least 32, because it counts the header";
explain(length_above_limit, Max) ->
    ["the length must be at most ", integer_to_list(Max), ", the limit of this receiver (max_packet)"];
explain(length_separator, _) -> "byte 10 of a header must be the \"|\" between length and id";
explain(id_digit, _) -> "bytes 11 to 30 must be decimal digits, the connection id";
explain(id_too_large, _) -> ["the connection id must be at most ", integer_to_list(?MAX_ID)];
explain(id_separator, _) -> "byte 31 of a header must be the \"|\" between id and content".

escape(Bytes) ->
    [if Byte >= $\s, Byte < 127, Byte =/= $", Byte =/= $\\ -> Byte;
        true -> io_lib:format("\\x~2.16.0b", [Byte])
     end || <<Byte>> <= Bytes].
