namespace Megaphone.Tests.Reactor;

/// <summary>What the reactor keeps for a <see cref="TestConnection"/>: its number with the handler.</summary>
internal readonly record struct TestState(int Number);
