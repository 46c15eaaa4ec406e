namespace Megaphone.Operator;

/// <summary>How one configured server or backend is.</summary>
/// <param name="Server">As it is configured.</param>
/// <param name="Up">Its links that are up, or addresses in use.</param>
/// <param name="Sessions">Clients or sessions there.</param>
/// <param name="LoginsUnderWay">Clients that log in there now.</param>
/// <param name="LoginsWaiting">Clients that wait for their turn to.</param>
internal sealed record ServerReport(string Server, int Up, long Sessions, long LoginsUnderWay, long LoginsWaiting);
