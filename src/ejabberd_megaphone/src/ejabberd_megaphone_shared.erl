%%% @doc Terms that very many processes read, kept once: options of listeners, and what is equal in the states of sleeping
%%% sessions. A persistent_term is read without being copied. None is changed or erased while the module is in use, for that
%%% makes the VM look through every process; there are only ever as many as there are configurations and kinds of state.
-module(ejabberd_megaphone_shared).

-export([publish/1, put_new/2, get/1, get/2, erase/0]).
-export_type([key/0]).

-type key() :: term().

%% @doc Keeps a term. The same term has the same key.
-spec publish(term()) -> key().
publish(Term) ->
    publish(erlang:phash2(Term), Term).

publish(Key, Term) ->
    case get(Key, Term) of
        Term -> put_new(Key, Term), Key;
        _Other -> publish(Key + 1, Term)
    end.

%% @doc Keeps a term under a key that nothing was kept under before.
-spec put_new(key(), term()) -> ok.
put_new(Key, Term) -> persistent_term:put({?MODULE, Key}, Term).

-spec get(key()) -> term().
get(Key) -> persistent_term:get({?MODULE, Key}).

-spec get(key(), Default :: term()) -> term().
get(Key, Default) -> persistent_term:get({?MODULE, Key}, Default).

%% @doc Forgets all of them.
-spec erase() -> ok.
erase() ->
    lists:foreach(fun({{?MODULE, _} = Key, _}) -> persistent_term:erase(Key);
                     (_) -> ok
                  end, persistent_term:get()).
