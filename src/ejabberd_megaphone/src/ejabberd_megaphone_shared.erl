%%% @doc Terms that very many processes share: options of listeners, and templates for the states of sleeping sessions. They are persistent
%%% terms, which are read without being copied. None is changed or erased while the module is in use, because the VM then scans every
%%% process; there are only as many as there are configurations and templates.
-module(ejabberd_megaphone_shared).

-export([publish/1, put_new/2, get/1, get/2, erase/0]).
-export_type([key/0]).

-type key() :: term().

%% @doc Keeps a term, under a key that is the same for the same term.
-spec publish(term()) -> key().
publish(Term) ->
    publish(erlang:phash2(Term), Term).

publish(Key, Term) ->
    case get(Key, Term) of
        Term -> put_new(Key, Term), Key;
        _Other -> publish(Key + 1, Term)
    end.

%% @doc Keeps a term under a key that is not in use.
-spec put_new(key(), term()) -> ok.
put_new(Key, Term) -> persistent_term:put({?MODULE, Key}, Term).

-spec get(key()) -> term().
get(Key) -> persistent_term:get({?MODULE, Key}).

-spec get(key(), Default :: term()) -> term().
get(Key, Default) -> persistent_term:get({?MODULE, Key}, Default).

%% @doc Erases all of them.
-spec erase() -> ok.
erase() ->
    lists:foreach(fun({{?MODULE, _} = Key, _}) -> persistent_term:erase(Key);
                     (_) -> ok
                  end, persistent_term:get()).
