namespace Megaphone.Reactor;

/// <summary>Is shown a connection, with its gate held: it must not call the reactor.</summary>
internal delegate void SurveyVisitor<TState>(in SurveyedConnection connection, in TState state)
    where TState : unmanaged;
