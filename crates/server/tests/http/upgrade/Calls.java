import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.TreeMap;
import java.util.stream.IntStream;

/** Makes calls with Java's own HTTP client as it comes, which asks for HTTP/2 in clear. */
public class Calls {
    static final int CALLS = 40;

    public static void main(String[] arguments) throws Exception {
        var client = HttpClient.newHttpClient();
        var customers = HttpRequest.newBuilder(URI.create(arguments[0] + "/api/v1/customers"))
            .header("Authorization", "Bearer " + arguments[1]);
        var list = customers.copy().build();
        var create = customers.copy()
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString("{\"name\": \"Java\"}"))
            .build();

        var outcomes = new ArrayList<String>();
        for (int call = 0; call < CALLS; call++) {
            for (var request : new HttpRequest[] {create, list}) {
                try {
                    var answer = client.send(request, BodyHandlers.ofString());
                    outcomes.add(request.method() + " " + answer.statusCode());
                } catch (java.io.IOException failure) {
                    outcomes.add(request.method() + " " + failure);
                }
            }
        }
        IntStream.range(0, CALLS)
            .mapToObj(call -> client.sendAsync(list, BodyHandlers.ofString()))
            .toList()
            .forEach(answer -> outcomes.add(answer
                .handle((a, failure) -> "at once " + (failure == null ? a.statusCode() : failure))
                .join()));

        var counts = new TreeMap<String, Integer>();
        outcomes.forEach(outcome -> counts.merge(outcome, 1, Integer::sum));
        System.out.println(counts);
    }
}
