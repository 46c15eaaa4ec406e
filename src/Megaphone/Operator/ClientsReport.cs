using Megaphone.Ecm;

namespace Megaphone.Operator;

/// <summary>Clients who are connected.</summary>
/// <param name="Count">How many there are.</param>
/// <param name="Clients">Some of them, or all.</param>
internal sealed record ClientsReport(int Count, IReadOnlyList<ClientFacts> Clients);
