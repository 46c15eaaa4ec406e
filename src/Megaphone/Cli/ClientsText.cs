using System.Text;
using Megaphone.Ecm;
using Megaphone.Operator;

namespace Megaphone.Cli;

/// <summary>What <c>megaphone clients</c> prints for people.</summary>
internal static class ClientsText
{
    /// <summary>A line for each client, and one that says how many there are.</summary>
    public static string Write(ClientsReport report)
    {
        TextTable table = new("ID", "ADDRESS", "LISTENER", "TLS", "AGE", "IDLE", "SERVER", "STATE", ">IN", ">OUT");
        foreach (ClientFacts client in report.Clients)
        {
            table.Add(
                client.Id,
                client.Proxy is null ? client.Address : $"{client.Address} via {client.Proxy}",
                client.Listener,
                client.Tls ?? "-",
                HumanText.Age(client.AgeSeconds),
                HumanText.Age(client.IdleSeconds),
                client.Server ?? "-",
                client.State,
                HumanText.Size(client.BytesIn),
                HumanText.Size(client.BytesOut));
        }

        StringBuilder text = new();
        table.Write(text);
        string all = HumanText.Counted(report.Count, "client");
        return text.Append(report.Clients.Count < report.Count ? $"{HumanText.Number(report.Clients.Count)} of {all}" : all).Append('\n').ToString();
    }
}
